//! Templates: validated, versioned, and without roles.

mod copy;
mod edited;

pub use domain::template::Format;
pub use edited::CheckedText;

use crate::{
    Engine, Error, Result, User, pagination,
    store::{self, templates as rows},
};
use domain::{
    access::Permission,
    id::{ProjectId, TemplateId},
    key::{ProjectKey, TemplateKey},
    schema::Shelf,
    template::{self, Template, Uses},
    view::{Page, Subject, TemplateDetail, TemplateSummary},
};
use uuid::Uuid;

const PAGE: usize = 50;
/// How many versions a template's page lists.
const VERSIONS: u32 = 200;
/// The key of the built-in template for free text, in every project.
const RESERVED: &str = "ask";
const MOST_COPIES: u32 = 1_000;

/// A validated document in its stored form.
pub(crate) struct Document {
    pub template: Template,
    /// YAML, as its author wrote it.
    pub source: String,
}

impl Engine {
    /// The templates, newest first. Page size 50.
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

    /// A version of the template; without `version`, the newest.
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

    /// Checks the permission on an existing template, for callers that check it before they read a request's body.
    pub async fn permits_template(
        &self,
        user: &User,
        project: &ProjectKey,
        key: &TemplateKey,
        need: Permission,
    ) -> Result<()> {
        let project = self.authorise(user, project, need).await?;
        let built_in = key.as_ref() == RESERVED;
        if built_in || rows::by_key(self.0.store.read(), project, key).await?.is_some() {
            return Ok(());
        }
        Err(Error::not_found("template", key))
    }

    /// Validates and stores version 1. `Conflict` if the key is taken; `ask` is reserved.
    pub async fn create_template(
        &self,
        user: &User,
        project: &ProjectKey,
        source: &str,
        format: Format,
    ) -> Result<TemplateDetail> {
        let project = self.authorise(user, project, Permission::Editor).await?;
        let (document, lines) = self.read_in_turn(user, source, format).await?;
        let hints = self.child_hints(project, &document.template, &lines).await?;
        let (id, key) = self.insert_template(project, document, user).await?;
        Ok(TemplateDetail { hints, ..self.template_detail(id, key, 1, 1).await? })
    }

    /// Saves the next version (none if nothing changed). The document's key must be `key`. `based_on`: the version that
    /// the editor saw; `Stale` if there is a newer one. `None`: no check.
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
        let found = rows::by_key(self.0.store.read(), project, key).await?;
        found.ok_or_else(|| Error::not_found("template", key))?;
        let (document, lines) = self.read_in_turn(user, source, format).await?;
        if document.template.key != *key {
            return Err(Error::invalid("key", format!("a template keeps its key: '{key}'")));
        }
        let hints = self.child_hints(project, &document.template, &lines).await?;
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
        Ok(TemplateDetail { hints, ..self.template_detail(id, key.clone(), version, version).await? })
    }

    /// Copies the template under a free key ("code-review-copy", "code-review-copy-2").
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
                // Another user has taken the key in between.
                Err(Error::Conflict(_)) => {}
                inserted => {
                    let (id, key) = inserted?;
                    return self.template_detail(id, key, 1, 1).await;
                }
            }
        }
        Err(Error::Conflict(format!("'{key}' has {MOST_COPIES} copies already")))
    }

    /// Deletes the template. Runs keep the versions that they use.
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

    /// Like [`read`], in the user's turn. Also the first line of each step, if hints may need it.
    async fn read_in_turn(&self, user: &User, source: &str, format: Format) -> Result<(Document, Vec<u32>)> {
        let (source, shelf) = (source.to_owned(), self.0.runs.shelf.clone());
        let read = move || {
            let document = read(&source, format, &shelf)?;
            let calls =
                document.template.steps.iter().any(|step| matches!(step.uses, Some(Uses::Template(_))));
            let lines = if calls { template::step_lines(&document.source) } else { Vec::new() };
            Ok((document, lines))
        };
        self.compute(user, read).await?
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
        Ok(TemplateDetail { key, version, newest, document, source, versions, runs, hints: Vec::new() })
    }
}

/// # Errors
/// `TooLarge` for a text that is larger than a template may be: it is not even read.
fn sized(source: &str) -> Result<()> {
    if source.len() > template::MAX_BYTES {
        return Err(Error::TooLarge(format!(
            "a template has at most {} bytes (1 MB), this has {}",
            template::MAX_BYTES,
            source.len()
        )));
    }
    Ok(())
}

/// Reads and validates a document to be stored. Features that this engine cannot execute yet are accepted. `shelf`: patterns
/// are compiled one document at a time among all that share it.
pub(crate) fn read(source: &str, format: Format, shelf: &Shelf) -> Result<Document> {
    sized(source)?;
    let checked = template::check_with(source, format, shelf);
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
