//! What the template pages ask of the server.

use crate::fault::Result;
#[cfg(feature = "ssr")]
use crate::session::caller;
use domain::{
    key::{ProjectKey, TemplateKey},
    plan::Plan,
    problem::Problem,
    template::Template,
    view::{Page, TemplateDetail, TemplateSummary},
};
use leptos::{prelude::*, server_fn::codec::Json};
use serde::{Deserialize, Serialize};

/// A document as it stands in the editor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Checked {
    /// None while the text cannot be read as a template.
    pub document: Option<Template>,
    pub problems: Vec<Problem>,
}

/// A version with the plan that is made of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shown {
    pub detail: TemplateDetail,
    pub plan: Plan,
}

/// Newest first.
#[server]
pub async fn list_templates(
    project: ProjectKey,
    #[server(default)] cursor: Option<String>,
) -> Result<Page<TemplateSummary>> {
    let (engine, user) = caller().await?;
    Ok(engine.templates(&user, &project, cursor.as_deref()).await?)
}

/// `version` none: the newest.
#[server]
pub async fn load_template(
    project: ProjectKey,
    key: TemplateKey,
    #[server(default)] version: Option<u32>,
) -> Result<TemplateDetail> {
    let (engine, user) = caller().await?;
    Ok(engine.template(&user, &project, &key, version).await?)
}

/// As [`load_template`], to be drawn.
#[server]
pub async fn show_template(
    project: ProjectKey,
    key: TemplateKey,
    #[server(default)] version: Option<u32>,
) -> Result<Shown> {
    let (engine, user) = caller().await?;
    let detail = engine.template(&user, &project, &key, version).await?;
    // What is stored was sound when it was saved.
    let plan = domain::template::compile(&detail.document).unwrap_or_default();
    Ok(Shown { detail, plan })
}

/// Reads and checks; stores nothing.
#[server(input = Json)]
pub async fn check_template(source: String) -> Result<Checked> {
    let (engine, _) = caller().await?;
    let (document, problems) = engine.check_template(&source, engine::Format::Yaml);
    Ok(Checked { document, problems })
}

/// The document as YAML, as the form left it.
#[server(input = Json)]
pub async fn render_template(document: Template) -> Result<String> {
    caller().await?;
    Ok(document.to_yaml())
}

/// Makes a template (`key` none), or its next version. A form posted without script goes on to the template's page.
#[server]
pub async fn save_template(
    project: ProjectKey,
    #[server(default)] key: Option<TemplateKey>,
    source: String,
    #[server(default)] based_on: Option<u32>,
) -> Result<TemplateDetail> {
    let (engine, user) = caller().await?;
    // A form sends its texts with CRLF; a document has plain line ends.
    let source = source.replace("\r\n", "\n");
    let yaml = engine::Format::Yaml;
    let saved = match key {
        None => engine.create_template(&user, &project, &source, yaml).await?,
        Some(key) => engine.update_template(&user, &project, &key, &source, yaml, based_on).await?,
    };
    leptos_axum::redirect(&format!("/p/{project}/templates/{}", saved.key));
    Ok(saved)
}

/// Copies it under a free key and goes on to the copy.
#[server]
pub async fn duplicate_template(project: ProjectKey, key: TemplateKey) -> Result<()> {
    let (engine, user) = caller().await?;
    let copy = engine.duplicate_template(&user, &project, &key).await?;
    leptos_axum::redirect(&format!("/p/{project}/templates/{}", copy.key));
    Ok(())
}

/// Goes on to the list.
#[server]
pub async fn delete_template(project: ProjectKey, key: TemplateKey) -> Result<()> {
    let (engine, user) = caller().await?;
    engine.delete_template(&user, &project, &key).await?;
    leptos_axum::redirect(&format!("/p/{project}/templates"));
    Ok(())
}
