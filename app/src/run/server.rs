//! What the pages of runs, and whatever shows a run's status, ask of the server.

use crate::fault::Fault;
use domain::{
    event::Event,
    id::{ContentId, RunNumber, Timestamp},
    key::{ProjectKey, TemplateKey},
    run::RunStatus,
    view::{Content, Page, RunDetail, RunSummary},
};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

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
    let detail = engine.run(&user, &project, run).await?;
    Ok(RunPage { detail, now: crate::live::server_time() })
}

#[server]
pub async fn stop_run(project: ProjectKey, run: RunNumber) -> Result<(), Fault> {
    let (engine, user) = crate::session::caller().await?;
    engine.cancel(&user, &project, run).await?;
    Ok(())
}

/// How many runs of the project are live, and the change at which they were counted.
#[server]
pub async fn count_live(project: ProjectKey) -> Result<(u32, u64), Fault> {
    let (engine, user) = crate::session::caller().await?;
    let changes = engine.project_cursor(&user, &project).await?;
    Ok((engine.project(&user, &project).await?.live_runs, changes))
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
