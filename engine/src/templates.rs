//! Templates: checked, versioned, never holding a role.

mod copy;

pub use domain::template::Format;

use crate::{
    Engine, Error, Result, User, pagination,
    store::{self, templates as rows},
};
use domain::{
    access::Permission,
    id::{ProjectId, TemplateId},
    key::{ProjectKey, TemplateKey},
    template::{self, Checked, Template},
    view::{Page, Subject, TemplateDetail, TemplateSummary},
};
use uuid::Uuid;

const PAGE: usize = 50;
/// How many versions a template's page lists.
const VERSIONS: u32 = 200;
/// The built-in template of free text has this key in every project.
const RESERVED: &str = "ask";
const MOST_COPIES: u32 = 1_000;

/// A document that was checked, as it is stored.
pub(crate) struct Document {
    pub template: Template,
    /// YAML, as its author wrote it.
    pub source: String,
}

impl Engine {
    /// Newest first. Page size 50.
    pub async fn templates(
        &self,
        user: &User,
        project: &ProjectKey,
        cursor: Option<&str>,
    ) -> Result<Page<TemplateSummary>> {
        let project = self.authorise(user, project, Permission::Viewer).await?;
        let before = pagination::after(cursor, (i64::MAX, Uuid::max()))?;
        let found = rows::list(self.0.store.read(), project, before, PAGE as u32 + 1).await?;
        pagination::page(found, PAGE, |(id, summary)| (summary.updated_at, *id), |(_, summary)| Ok(summary))
    }

    /// `version` none: the newest.
    pub async fn template(
        &self,
        user: &User,
        project: &ProjectKey,
        key: &TemplateKey,
        version: Option<u32>,
    ) -> Result<TemplateDetail> {
        let project = self.authorise(user, project, Permission::Viewer).await?;
        let db = self.0.store.read();
        let found = rows::by_key(db, project, key).await?;
        let (id, newest) = found.ok_or_else(|| Error::not_found("template", key))?;
        self.template_detail(id, key.clone(), version.unwrap_or(newest), newest).await
    }

    /// Checks and stores version 1. `Conflict` when the key is taken; `ask` is reserved.
    pub async fn create_template(
        &self,
        user: &User,
        project: &ProjectKey,
        source: &str,
        format: Format,
    ) -> Result<TemplateDetail> {
        let project = self.authorise(user, project, Permission::Editor).await?;
        let document = read_aside(source, format).await?;
        let (id, key) = self.insert_template(project, document, user).await?;
        self.template_detail(id, key, 1, 1).await
    }

    /// Makes the next version (none if nothing changed). The document's key must be `key`. `based_on`: the version the
    /// editor saw; `Stale` when there is a newer one. None: no check.
    pub async fn update_template(
        &self,
        user: &User,
        project: &ProjectKey,
        key: &TemplateKey,
        source: &str,
        format: Format,
        based_on: Option<u32>,
    ) -> Result<TemplateDetail> {
        let project = self.authorise(user, project, Permission::Editor).await?;
        let document = read_aside(source, format).await?;
        if document.template.key != *key {
            return Err(Error::invalid("key", format!("a template keeps its key: '{key}'")));
        }
        let maker = user.id;
        let (id, version) = self
            .0
            .store
            .write(move |tx| {
                Box::pin(async move {
                    let key = document.template.key.clone();
                    let found = rows::by_key(&mut *tx, project, &key).await?;
                    let (id, newest) = found.ok_or_else(|| Error::not_found("template", &key))?;
                    if based_on.is_some_and(|seen| seen != newest) {
                        return Err(Error::Stale { newest });
                    }
                    if rows::source(tx, id, newest).await?.as_deref() == Some(document.source.as_str()) {
                        return Ok((id, newest));
                    }
                    rows::insert_version(tx, id, newest + 1, &document, Some(maker)).await?;
                    store::change(tx, project, &Subject::Template { key }).await?;
                    Ok((id, newest + 1))
                })
            })
            .await?;
        self.template_detail(id, key.clone(), version, version).await
    }

    /// Makes a copy under a free key ("code-review-copy", "code-review-copy-2").
    pub async fn duplicate_template(
        &self,
        user: &User,
        project: &ProjectKey,
        key: &TemplateKey,
    ) -> Result<TemplateDetail> {
        let project = self.authorise(user, project, Permission::Editor).await?;
        let db = self.0.store.read();
        let found = rows::by_key(db, project, key).await?;
        let (id, newest) = found.ok_or_else(|| Error::not_found("template", key))?;
        let (template, source) =
            rows::version(db, id, newest).await?.ok_or_else(|| Error::not_found("template", key))?;
        let original = Document { template, source };
        for number in 1..=MOST_COPIES {
            let free = copy::key(key, number)?;
            if rows::by_key(db, project, &free).await?.is_some() {
                continue;
            }
            match self.insert_template(project, copy::under(&original, free), user).await {
                // Taken by somebody else in between.
                Err(Error::Conflict(_)) => {}
                inserted => {
                    let (id, key) = inserted?;
                    return self.template_detail(id, key, 1, 1).await;
                }
            }
        }
        Err(Error::Conflict(format!("'{key}' has {MOST_COPIES} copies already")))
    }

    /// Runs keep the versions they used.
    pub async fn delete_template(&self, user: &User, project: &ProjectKey, key: &TemplateKey) -> Result<()> {
        let project = self.authorise(user, project, Permission::Editor).await?;
        let key = key.clone();
        self.0
            .store
            .write(move |tx| {
                Box::pin(async move {
                    if !rows::delete(tx, project, &key, store::now()).await? {
                        return Err(Error::not_found("template", &key));
                    }
                    store::change(tx, project, &Subject::Template { key }).await
                })
            })
            .await
    }

    /// What is wrong with a document as it stands in an editor, and what is likely a slip; also the document if it can
    /// be read. Stores nothing.
    pub fn check_template(&self, source: &str, format: Format) -> Checked {
        template::check(source, format)
    }

    async fn insert_template(
        &self,
        project: ProjectId,
        document: Document,
        maker: &User,
    ) -> Result<(TemplateId, TemplateKey)> {
        let maker = maker.id;
        self.0
            .store
            .write(move |tx| {
                Box::pin(async move {
                    let key = document.template.key.clone();
                    if rows::by_key(&mut *tx, project, &key).await?.is_some() {
                        return Err(Error::Conflict(format!("there is a template '{key}' already")));
                    }
                    let id = rows::insert(tx, project, &document, Some(maker)).await?;
                    store::change(tx, project, &Subject::Template { key: key.clone() }).await?;
                    Ok((id, key))
                })
            })
            .await
    }

    async fn template_detail(
        &self,
        id: TemplateId,
        key: TemplateKey,
        version: u32,
        newest: u32,
    ) -> Result<TemplateDetail> {
        let db = self.0.store.read();
        let found = rows::version(db, id, version).await?;
        let (document, source) =
            found.ok_or_else(|| Error::not_found("template", format_args!("{key}@{version}")))?;
        let versions = rows::versions(db, id, VERSIONS).await?;
        let runs = rows::runs(db, id).await?;
        Ok(TemplateDetail { key, version, newest, document, source, versions, runs })
    }
}

/// Reads and checks a document that is to be stored. What this engine cannot execute yet may be stored all the same.
pub(crate) fn read(source: &str, format: Format) -> Result<Document> {
    if source.len() > template::MAX_BYTES {
        return Err(Error::TooLarge(format!(
            "a template has at most {} bytes (1 MB), this has {}",
            template::MAX_BYTES,
            source.len()
        )));
    }
    let checked = template::check(source, format);
    if !checked.problems.is_empty() {
        return Err(Error::Invalid(checked.problems));
    }
    let template = checked.template.ok_or_else(|| Error::internal("a sound document without a template"))?;
    if template.key.as_ref() == RESERVED {
        let message = format!("the key '{RESERVED}' is reserved for free text in conversations");
        return Err(Error::invalid("key", message));
    }
    let source = match format {
        Format::Yaml => source.to_owned(),
        Format::Json => template.to_yaml(),
    };
    Ok(Document { template, source })
}

/// As [`read`], away from the threads that serve: a large document takes a while.
async fn read_aside(source: &str, format: Format) -> Result<Document> {
    let source = source.to_owned();
    tokio::task::spawn_blocking(move || read(&source, format)).await.map_err(Error::internal)?
}
