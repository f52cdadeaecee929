//! Templates: checked, versioned, never holding a role.

use crate::{Engine, Result, User};
use domain::{
    key::{ProjectKey, TemplateKey},
    problem::Problem,
    template::Template,
    view::{Page, TemplateDetail, TemplateSummary},
};

/// The text of a template and how it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Yaml,
    Json,
}

impl Engine {
    /// Newest first. Page size 50.
    pub async fn templates(
        &self,
        user: &User,
        project: &ProjectKey,
        cursor: Option<&str>,
    ) -> Result<Page<TemplateSummary>> {
        todo!()
    }
    /// `version` none: the newest.
    pub async fn template(
        &self,
        user: &User,
        project: &ProjectKey,
        key: &TemplateKey,
        version: Option<u32>,
    ) -> Result<TemplateDetail> {
        todo!()
    }
    /// Checks and stores version 1. `Conflict` when the key is taken; `ask` is reserved.
    pub async fn create_template(
        &self,
        user: &User,
        project: &ProjectKey,
        source: &str,
        format: Format,
    ) -> Result<TemplateDetail> {
        todo!()
    }
    /// Makes the next version (none if nothing changed). The document's key must be `key`.
    pub async fn update_template(
        &self,
        user: &User,
        project: &ProjectKey,
        key: &TemplateKey,
        source: &str,
        format: Format,
        based_on: Option<u32>,
    ) -> Result<TemplateDetail> {
        todo!()
    }
    /// Makes a copy under a free key ("code-review-copy", "code-review-copy-2").
    pub async fn duplicate_template(
        &self,
        user: &User,
        project: &ProjectKey,
        key: &TemplateKey,
    ) -> Result<TemplateDetail> {
        todo!()
    }
    /// Runs keep the versions they used.
    pub async fn delete_template(&self, user: &User, project: &ProjectKey, key: &TemplateKey) -> Result<()> {
        todo!()
    }
    /// What is wrong with a document as it stands in an editor; also the document if it can be read. Stores nothing.
    pub fn check_template(&self, source: &str, format: Format) -> (Option<Template>, Vec<Problem>) {
        todo!()
    }
}
