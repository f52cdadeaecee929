//! Server functions of the template pages.

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

/// The editor's document, checked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Checked {
    /// `None` if the text cannot be parsed as a template.
    pub document: Option<Template>,
    pub problems: Vec<Problem>,
    /// Probable mistakes, which do not prevent saving or executing it.
    #[serde(default)]
    pub hints: Vec<Problem>,
    /// The first line of each step, from 1.
    pub lines: Vec<u32>,
}

/// A document that the form or the canvas changed, as text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rendered {
    pub source: String,
    /// Whether comments and unchanged parts were kept as written.
    pub kept: bool,
    pub checked: Checked,
}

/// A version with its plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shown {
    pub detail: TemplateDetail,
    /// The problems instead, if today's rules reject the order of the steps: the version was saved under other rules.
    pub plan: std::result::Result<Plan, Vec<Problem>>,
}

/// The kind of an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Asked {
    /// A mapping's text.
    Value,
    Condition,
    /// The list of a forEach.
    Items,
}

/// The value of an expression, evaluated with a past run's data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Previewed {
    pub run: domain::id::RunNumber,
    /// As JSON, shortened.
    pub value: String,
    /// Why the evaluation failed.
    pub error: Option<String>,
}

/// Evaluates with the newest run of the template; `None` if it has no run. `for_each` is the list that `item` comes
/// from.
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

/// `version` is `None` for the newest.
#[server]
pub async fn load_template(
    project: ProjectKey,
    key: TemplateKey,
    #[server(default)] version: Option<u32>,
) -> Result<TemplateDetail> {
    let (engine, user) = caller().await?;
    Ok(engine.template(&user, &project, &key, version).await?)
}

/// As [`load_template`], with the plan for drawing.
#[server]
pub async fn show_template(
    project: ProjectKey,
    key: TemplateKey,
    #[server(default)] version: Option<u32>,
) -> Result<Shown> {
    let (engine, user) = caller().await?;
    let detail = engine.template(&user, &project, &key, version).await?;
    let outline = move || {
        let plan = domain::template::outline(&detail.document);
        Shown { detail, plan }
    };
    Ok(engine.compute(&user, outline).await?)
}

/// Parses and checks the document; stores nothing.
#[server(input = Json)]
pub async fn check_template(project: ProjectKey, source: String) -> Result<Checked> {
    let (engine, user) = caller().await?;
    Ok(engine.check_template(&user, &project, source, engine::Format::Yaml).await?.into())
}

/// Writes the document that the form or the canvas changed into its previous YAML text.
#[server(input = Json)]
pub async fn render_template(project: ProjectKey, document: Template, before: String) -> Result<Rendered> {
    let (engine, user) = caller().await?;
    let (revised, checked) = engine.revise_template(&user, &project, document, before).await?;
    Ok(Rendered { source: revised.source, kept: revised.kept, checked: checked.into() })
}

#[cfg(feature = "ssr")]
impl From<engine::CheckedText> for Checked {
    fn from(text: engine::CheckedText) -> Self {
        let domain::template::Checked { template, problems, hints, .. } = text.checked;
        Self { document: template, problems, hints, lines: text.lines }
    }
}

/// Creates a template (`key` is `None`) or its next version, and redirects to the template's page, unless `stay` is
/// set.
#[server]
pub async fn save_template(
    project: ProjectKey,
    #[server(default)] key: Option<TemplateKey>,
    source: String,
    #[server(default)] based_on: Option<u32>,
    #[server(default)] stay: bool,
) -> Result<TemplateDetail> {
    let (engine, user) = caller().await?;
    // A form submits texts with CRLF; a document has LF.
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

/// Reports that this tab has the template open for editing, and returns who else has. `visit` increases with each
/// visit of the tab.
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

/// Copies the template under a free key and redirects to the copy.
#[server]
pub async fn duplicate_template(project: ProjectKey, key: TemplateKey) -> Result<()> {
    let (engine, user) = caller().await?;
    let copy = engine.duplicate_template(&user, &project, &key).await?;
    leptos_axum::redirect(&format!("/p/{project}/templates/{}", copy.key));
    Ok(())
}

/// Redirects to the list.
#[server]
pub async fn delete_template(project: ProjectKey, key: TemplateKey) -> Result<()> {
    let (engine, user) = caller().await?;
    engine.delete_template(&user, &project, &key).await?;
    leptos_axum::redirect(&format!("/p/{project}/templates"));
    Ok(())
}

/// The changes from one version to another, as HTML.
#[server]
pub async fn compare_versions(project: ProjectKey, key: TemplateKey, from: u32, to: u32) -> Result<String> {
    let (engine, user) = caller().await?;
    let before = engine.template(&user, &project, &key, Some(from)).await?;
    let after = engine.template(&user, &project, &key, Some(to)).await?;
    let compare = move || super::versions::drawn((from, to), &before.source, &after.source);
    Ok(crate::session::draw(&engine, &user, compare).await?)
}

/// Saves an earlier version's text as the next version, and redirects to it.
#[server]
pub async fn restore_template(project: ProjectKey, key: TemplateKey, version: u32) -> Result<()> {
    let (engine, user) = caller().await?;
    let old = engine.template(&user, &project, &key, Some(version)).await?;
    let yaml = engine::Format::Yaml;
    let saved = engine.update_template(&user, &project, &key, &old.source, yaml, Some(old.newest)).await?;
    // The URL includes the version: the page may already be at the URL without one, and would not reload.
    leptos_axum::redirect(&format!("/p/{project}/templates/{key}@{}", saved.version));
    Ok(())
}
