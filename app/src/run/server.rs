//! Server functions of run pages, and of all components that show a run's status.

use crate::fault::Fault;
#[cfg(feature = "ssr")]
use domain::{access::Permission, file::FilePath, json};
use domain::{
    event::{Decision, Event},
    id::{ContentId, RunNumber, Timestamp},
    key::{ProjectKey, RoleKey, TemplateKey},
    run::RunStatus,
    view::{Content, ForkPreview, Launched, Page, RunDetail, RunSummary},
};
use leptos::{prelude::*, server_fn::codec::Json};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The data of a rendered list of runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunList {
    pub page: Page<RunSummary>,
    /// The templates to filter by.
    pub templates: Vec<(TemplateKey, String)>,
    /// The project's change number from which to follow updates.
    pub changes: u64,
    pub now: Timestamp,
}

/// The data of a rendered run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunPage {
    pub detail: RunDetail,
    /// Whether the user may answer, rerun and stop.
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
    // Read before the list: a change in between is then received twice rather than missed.
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

/// Answers a step run that waits for a person. `output` is the edited output: JSON, unless `as_text`.
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

/// The parameters of a fork. `None` keeps the run's value.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RerunForm {
    pub from_step: String,
    pub items: Option<Vec<u32>>,
    /// JSON, as typed.
    pub input: Option<String>,
    pub role_assignments: BTreeMap<String, RoleKey>,
    pub template_version: Option<u32>,
    /// Steps whose stale output is reused.
    pub reuse: Vec<String>,
    pub idempotency_key: String,
}

#[cfg(feature = "ssr")]
impl RerunForm {
    fn read(self) -> Result<engine::Fork, Fault> {
        Ok(engine::Fork {
            from_step: self.from_step,
            items: self.items,
            input: self.input.map(|text| read_json("input", &text)).transpose()?,
            role_assignments: self.role_assignments,
            template_version: self.template_version,
            reuse: self.reuse,
            idempotency_key: Some(self.idempotency_key),
        })
    }
}

/// Launches a fork: a rerun from a step on.
#[server(input = Json)]
pub async fn rerun_from(project: ProjectKey, run: RunNumber, form: RerunForm) -> Result<Launched, Fault> {
    let (engine, user) = crate::session::caller().await?;
    Ok(engine.fork(&user, &project, run, form.read()?).await?)
}

/// The steps that the fork would run again, and why.
#[server(input = Json)]
pub async fn preview_rerun(
    project: ProjectKey,
    run: RunNumber,
    form: RerunForm,
) -> Result<ForkPreview, Fault> {
    let (engine, user) = crate::session::caller().await?;
    Ok(engine.preview_fork(&user, &project, run, &form.read()?).await?)
}

#[cfg(feature = "ssr")]
fn read_json(field: &str, text: &str) -> Result<serde_json::Value, Fault> {
    json::read(text.as_bytes(), "").map_err(|error| Fault::field(field, error.to_string()).answered())
}

/// The files that a run wrote: each path with its version in the conversation.
#[server]
pub async fn list_files(project: ProjectKey, run: RunNumber) -> Result<Vec<(String, u32)>, Fault> {
    let (engine, user) = crate::session::caller().await?;
    let files = engine.run_files(&user, &project, run).await?;
    Ok(files.into_iter().map(|file| (file.path.into(), file.version)).collect())
}

/// The run's files as HTML, with one of them open: `path`, else the first; in `version`, else the version that the run
/// left. With `writes`, the files after the run's first `writes` writes.
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
    // An invalid path is treated like a missing file.
    let path = path.and_then(|path| FilePath::parse(&path).ok());
    let path = path.or_else(|| files.first().map(|file| file.path.clone()));
    let known = files.iter().find(|file| Some(&file.path) == path.as_ref()).map(|file| file.version);
    let open = match path.filter(|_| writes.is_none() || known.is_some()) {
        // A file that did not exist at the shown event is not shown.
        Some(path) if writes.is_some() => {
            let version = version.filter(|version| Some(*version) <= known).or(known);
            Some(engine.file(&user, &project, run, &path, version).await?)
        }
        Some(path) => Some(engine.file(&user, &project, run, &path, version).await?),
        None => None,
    };
    let draw = move || super::drawn::files_html(&project, &detail, &files, open, view.as_deref());
    Ok(crate::session::draw(&engine, &user, draw).await?)
}

/// The run's report as HTML.
#[server]
pub async fn draw_report(project: ProjectKey, run: RunNumber) -> Result<String, Fault> {
    let (engine, user) = crate::session::caller().await?;
    let detail = engine.run(&user, &project, run).await?;
    super::report::report_html(&engine, &user, &project, detail).await
}

/// Removes the run from the caller's inbox, because they have seen how it ended.
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

/// Maximum number of characters of a text on a page; a link leads to the whole text.
pub const TEXT_LIMIT: u32 = 256 * 1024;
