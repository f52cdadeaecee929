//! What the pages of runs, and whatever shows a run's status, ask of the server.

use crate::fault::Fault;
#[cfg(feature = "ssr")]
use domain::{access::Permission, file::FilePath};
use domain::{
    event::{Decision, Event},
    id::{ContentId, RunNumber, Timestamp},
    key::{ProjectKey, RoleKey, TemplateKey},
    run::RunStatus,
    view::{Content, Launched, Page, RunDetail, RunSummary},
};
use leptos::{prelude::*, server_fn::codec::Json};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A list of runs as it was drawn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunList {
    pub page: Page<RunSummary>,
    /// What the list can be filtered by.
    pub templates: Vec<(TemplateKey, String)>,
    /// The project's change from which to keep it current.
    pub changes: u64,
    pub now: Timestamp,
}

/// A run as it was drawn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunPage {
    pub detail: RunDetail,
    /// Whether who asks may answer, rerun and stop.
    pub may_edit: bool,
    pub now: Timestamp,
}

#[server]
pub async fn list_runs(
    project: ProjectKey,
    status: Option<RunStatus>,
    template: Option<TemplateKey>,
    cursor: Option<String>,
) -> Result<RunList, Fault> {
    let (engine, user) = crate::session::caller().await?;
    // Before the list: a change in between is heard again rather than missed.
    let changes = engine.project_cursor(&user, &project).await?;
    let filter = engine::RunFilter { status, template };
    let page = engine.runs(&user, &project, &filter, cursor.as_deref()).await?;
    let templates = engine.templates(&user, &project, None).await?.items;
    let templates = templates.into_iter().map(|template| (template.key, template.name)).collect();
    Ok(RunList { page, templates, changes, now: crate::live::server_time() })
}

#[server]
pub async fn open_run(project: ProjectKey, run: RunNumber) -> Result<RunPage, Fault> {
    let (engine, user) = crate::session::caller().await?;
    let may_edit = engine.project(&user, &project).await?.permission >= Permission::Editor;
    let detail = engine.run(&user, &project, run).await?;
    Ok(RunPage { detail, may_edit, now: crate::live::server_time() })
}

#[server]
pub async fn stop_run(project: ProjectKey, run: RunNumber) -> Result<(), Fault> {
    let (engine, user) = crate::session::caller().await?;
    engine.cancel(&user, &project, run).await?;
    Ok(())
}

/// Answers a step run that waits for a person. `output` is what an edit gives: JSON, unless it is `as_text`.
#[server]
pub async fn answer_step(
    project: ProjectKey,
    run: RunNumber,
    step: String,
    decision: Decision,
    output: Option<String>,
    as_text: Option<bool>,
    note: String,
) -> Result<(), Fault> {
    let (engine, user) = crate::session::caller().await?;
    let output = match output.filter(|_| decision == Decision::Edit) {
        Some(text) if as_text == Some(true) => Some(text.replace("\r\n", "\n").into()),
        Some(text) => Some(read_json("output", &text)?),
        None => None,
    };
    let text = Some(note).filter(|note| !note.is_empty());
    let draft = engine::AnswerDraft { step_run: step, decision, output, text };
    engine.answer(&user, &project, run, draft).await?;
    Ok(())
}

/// From where a run goes on as another one. What is none is as it was in the run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RerunForm {
    pub from_step: String,
    pub items: Option<Vec<u32>>,
    /// JSON, as it was typed.
    pub input: Option<String>,
    pub role_assignments: BTreeMap<String, RoleKey>,
    pub template_version: Option<u32>,
    pub idempotency_key: String,
}

/// Launches a fork: the run again from a step on.
#[server(input = Json)]
pub async fn rerun_from(project: ProjectKey, run: RunNumber, form: RerunForm) -> Result<Launched, Fault> {
    let (engine, user) = crate::session::caller().await?;
    let input = form.input.map(|text| read_json("input", &text)).transpose()?;
    let fork = engine::Fork {
        from_step: form.from_step,
        items: form.items,
        input,
        role_assignments: form.role_assignments,
        template_version: form.template_version,
        idempotency_key: Some(form.idempotency_key),
    };
    Ok(engine.fork(&user, &project, run, fork).await?)
}

#[cfg(feature = "ssr")]
fn read_json(field: &str, text: &str) -> Result<serde_json::Value, Fault> {
    serde_json::from_str(text).map_err(|error| Fault::field(field, format!("is no JSON: {error}")).answered())
}

/// What a run wrote: each file by its path, with its version in the conversation.
#[server]
pub async fn list_files(project: ProjectKey, run: RunNumber) -> Result<Vec<(String, u32)>, Fault> {
    let (engine, user) = crate::session::caller().await?;
    let files = engine.run_files(&user, &project, run).await?;
    Ok(files.into_iter().map(|file| (file.path.into(), file.version)).collect())
}

/// The run's files as HTML, and one of them: that of `path`, else the first; of `version`, else as the run left it. With
/// `writes`, as they were when the run had written so often.
#[server]
pub async fn draw_files(
    project: ProjectKey,
    run: RunNumber,
    path: Option<String>,
    version: Option<u32>,
    view: Option<String>,
    writes: Option<u32>,
) -> Result<String, Fault> {
    let (engine, user) = crate::session::caller().await?;
    let detail = engine.run(&user, &project, run).await?;
    let files = engine.run_files_after(&user, &project, run, writes).await?;
    // A path that none can have is as one that is not there.
    let path = path.and_then(|path| FilePath::parse(&path).ok());
    let path = path.or_else(|| files.first().map(|file| file.path.clone()));
    let known = files.iter().find(|file| Some(&file.path) == path.as_ref()).map(|file| file.version);
    let open = match path.filter(|_| writes.is_none() || known.is_some()) {
        // Of what was not there yet one sees nothing.
        Some(path) if writes.is_some() => {
            let version = version.filter(|version| Some(*version) <= known).or(known);
            Some(engine.file(&user, &project, run, &path, version).await?)
        }
        Some(path) => Some(engine.file(&user, &project, run, &path, version).await?),
        None => None,
    };
    Ok(super::drawn::files_html(&project, &detail, &files, open, view.as_deref()))
}

/// The run as a report.
#[server]
pub async fn draw_report(project: ProjectKey, run: RunNumber) -> Result<String, Fault> {
    let (engine, user) = crate::session::caller().await?;
    let detail = engine.run(&user, &project, run).await?;
    super::report::report_html(&engine, &user, &project, detail).await
}

/// The caller has seen how the run ended: it does not wait in their inbox any more.
#[server]
pub async fn look_at_run(project: ProjectKey, run: RunNumber) -> Result<(), Fault> {
    let (engine, user) = crate::session::caller().await?;
    Ok(engine.dismiss_failure(&user, &project, run).await?)
}

#[server]
pub async fn list_events(project: ProjectKey, run: RunNumber, after: u64) -> Result<Page<Event>, Fault> {
    let (engine, user) = crate::session::caller().await?;
    Ok(engine.events(&user, &project, run, after).await?)
}

/// A stored text of a run, at most [`TEXT_LIMIT`] characters of it.
#[server]
pub async fn read_text(project: ProjectKey, run: RunNumber, content: ContentId) -> Result<Content, Fault> {
    let (engine, user) = crate::session::caller().await?;
    Ok(engine.content(&user, &project, run, content, Some(TEXT_LIMIT)).await?)
}

/// How much of a text a page shows, in characters; a link leads to the whole.
pub const TEXT_LIMIT: u32 = 256 * 1024;
