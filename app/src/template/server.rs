//! What the template pages ask of the server.

use crate::fault::Result;
#[cfg(feature = "ssr")]
use crate::session::caller;
use domain::{
    key::{ProjectKey, TemplateKey},
    plan::Plan,
    problem::Problem,
    template::Template,
    view::{Attendance, Page, TemplateDetail, TemplateSummary},
};
use leptos::{prelude::*, server_fn::codec::Json};
use serde::{Deserialize, Serialize};

/// A document as it stands in the editor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Checked {
    /// None while the text cannot be read as a template.
    pub document: Option<Template>,
    pub problems: Vec<Problem>,
    /// Likely slips, which keep it from nothing.
    #[serde(default)]
    pub hints: Vec<Problem>,
    /// The line on which each step begins, from 1.
    pub lines: Vec<u32>,
}

/// A document that the form or the canvas changed, as text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rendered {
    pub source: String,
    /// Whether comments and what did not change were left as they stood.
    pub kept: bool,
    pub checked: Checked,
}

/// A version with the plan that is made of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shown {
    pub detail: TemplateDetail,
    pub plan: Plan,
}

/// What an expression stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Asked {
    /// A mapping's text.
    Value,
    Condition,
    /// The list of a forEach.
    Items,
}

/// What an expression gives with a past run's data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Previewed {
    pub run: domain::id::RunNumber,
    /// As JSON, cut.
    pub value: String,
    /// Why it gives nothing.
    pub error: Option<String>,
}

/// Evaluates with the newest run of the template; none when it has no run. `for_each`: the list that `item` is of.
#[server(input = Json)]
pub async fn preview_value(
    project: ProjectKey,
    key: TemplateKey,
    kind: Asked,
    text: String,
    for_each: Option<String>,
) -> Result<Option<Previewed>> {
    let (engine, user) = caller().await?;
    let kind = match kind {
        Asked::Value => engine::Expression::Value,
        Asked::Condition => engine::Expression::Condition,
        Asked::Items => engine::Expression::Items,
    };
    let found = engine.preview_expression(&user, &project, &key, kind, &text, for_each.as_deref()).await?;
    Ok(found.map(|(run, value)| match value {
        Ok(value) => Previewed { run, value, error: None },
        Err(error) => Previewed { run, value: String::new(), error: Some(error) },
    }))
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
    Ok(checked(&engine, &source))
}

/// The document as YAML, as the form or the canvas left it, in the text that it was.
#[server(input = Json)]
pub async fn render_template(document: Template, before: String) -> Result<Rendered> {
    let (engine, _) = caller().await?;
    let domain::template::Revised { source, kept } = domain::template::revise(&before, &document);
    let checked = checked(&engine, &source);
    Ok(Rendered { source, kept, checked })
}

#[cfg(feature = "ssr")]
fn checked(engine: &engine::Engine, source: &str) -> Checked {
    let domain::template::Checked { template, problems, hints, .. } =
        engine.check_template(source, engine::Format::Yaml);
    Checked { document: template, problems, hints, lines: domain::template::step_lines(source) }
}

/// Makes a template (`key` none), or its next version, and goes on to the template's page; with `stay`, who asks goes
/// where they like.
#[server]
pub async fn save_template(
    project: ProjectKey,
    #[server(default)] key: Option<TemplateKey>,
    source: String,
    #[server(default)] based_on: Option<u32>,
    #[server(default)] stay: bool,
) -> Result<TemplateDetail> {
    let (engine, user) = caller().await?;
    // A form sends its texts with CRLF; a document has plain line ends.
    let source = source.replace("\r\n", "\n");
    let yaml = engine::Format::Yaml;
    let saved = match key {
        None => engine.create_template(&user, &project, &source, yaml).await?,
        Some(key) => engine.update_template(&user, &project, &key, &source, yaml, based_on).await?,
    };
    if !stay {
        leptos_axum::redirect(&format!("/p/{project}/templates/{}", saved.key));
    }
    Ok(saved)
}

/// Says that this tab has the template open for editing; who else has. `visit` grows with each time
/// that the tab comes to it.
#[server(input = Json)]
pub async fn attend_template(
    project: ProjectKey,
    key: TemplateKey,
    tab: String,
    visit: u64,
) -> Result<Attendance> {
    let (engine, user) = caller().await?;
    Ok(engine.attend(&user, &project, &key, &tab, visit).await?)
}

#[server(input = Json)]
pub async fn leave_template(project: ProjectKey, key: TemplateKey, tab: String, visit: u64) -> Result<()> {
    let (engine, user) = caller().await?;
    Ok(engine.leave(&user, &project, &key, &tab, visit).await?)
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

/// What changed from one version to another, drawn.
#[server]
pub async fn compare_versions(project: ProjectKey, key: TemplateKey, from: u32, to: u32) -> Result<String> {
    let (engine, user) = caller().await?;
    let before = engine.template(&user, &project, &key, Some(from)).await?;
    let after = engine.template(&user, &project, &key, Some(to)).await?;
    Ok(super::versions::drawn((from, to), &before.source, &after.source))
}

/// Makes an earlier version's text the next version, and goes on to it.
#[server]
pub async fn restore_template(project: ProjectKey, key: TemplateKey, version: u32) -> Result<()> {
    let (engine, user) = caller().await?;
    let old = engine.template(&user, &project, &key, Some(version)).await?;
    let yaml = engine::Format::Yaml;
    let saved = engine.update_template(&user, &project, &key, &old.source, yaml, Some(old.newest)).await?;
    // By its number: the page may stand at the address without one already, and would not load anew.
    leptos_axum::redirect(&format!("/p/{project}/templates/{key}@{}", saved.version));
    Ok(())
}
