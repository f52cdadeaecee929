//! Tasks, their messages and their files.

use super::{From, Items, json};
use crate::{
    AppState,
    browser::transcript::{branch_of, transcript},
    extract::{Body, Caller, Path, Query, behind},
    problem::Result,
    rest,
    router::Route,
};
use axum::{extract::State, http::StatusCode, response::Response};
use domain::{access::Permission, id::TaskId, key::ProjectKey};
use serde::Deserialize;

pub fn routes() -> Vec<Route> {
    vec![
        Route::get("/api/v1/projects/{project}/tasks", list),
        Route::get("/api/v1/projects/{project}/tasks/{task}", show),
        Route::patch("/api/v1/projects/{project}/tasks/{task}", rename),
        Route::get("/api/v1/projects/{project}/tasks/{task}/messages", messages),
        Route::get("/api/v1/projects/{project}/tasks/{task}/files", files),
        Route::get("/api/v1/projects/{project}/tasks/{task}/transcript", transcript),
    ]
}

async fn list(
    State(state): State<AppState>,
    Path(project): Path<ProjectKey>,
    Query(from): Query<From>,
    Caller(user): Caller,
) -> Result<Response> {
    let page = state.engine.tasks(&user, &project, from.cursor.as_deref()).await?;
    Ok(json(StatusCode::OK, Items::of(page, rest::Task::from)))
}

async fn show(
    State(state): State<AppState>,
    Path((project, task)): Path<(ProjectKey, TaskId)>,
    Caller(user): Caller,
) -> Result<Response> {
    Ok(json(StatusCode::OK, rest::Task::from(state.engine.task(&user, &project, task).await?)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Renamed {
    title: String,
}

async fn rename(
    State(state): State<AppState>,
    Path((project, task)): Path<(ProjectKey, TaskId)>,
    Caller(user): Caller,
    body: Body,
) -> Result<Response> {
    let gate = async {
        state.engine.permits(&user, &project, Permission::Editor).await?;
        state.engine.task(&user, &project, task).await.map(drop)
    };
    let renamed: Renamed = behind(gate, body.json()).await?;
    state.engine.rename_task(&user, &project, task, &renamed.title).await?;
    Ok(json(StatusCode::OK, rest::Task::from(state.engine.task(&user, &project, task).await?)))
}

#[derive(Deserialize)]
struct Wanted {
    cursor: Option<String>,
    /// `main`, or the id of a branch's first message; `None` for the messages of all branches.
    branch: Option<String>,
}

/// Pages from newest to oldest; within a page, messages are in the order of the conversation.
async fn messages(
    State(state): State<AppState>,
    Path((project, task)): Path<(ProjectKey, TaskId)>,
    Query(wanted): Query<Wanted>,
    Caller(user): Caller,
) -> Result<Response> {
    let cursor = wanted.cursor.as_deref();
    let mut page = match branch_of(wanted.branch.as_deref())? {
        None => state.engine.messages(&user, &project, task, cursor).await?,
        Some(branch) => state.engine.messages_of(&user, &project, task, branch, cursor).await?,
    };
    page.items.reverse();
    Ok(json(StatusCode::OK, Items::of(page, rest::Message::from)))
}

#[derive(Deserialize)]
struct OfBranch {
    /// `None` for the most recently changed branch.
    branch: Option<String>,
}

/// The files' versions at the end of a branch.
async fn files(
    State(state): State<AppState>,
    Path((project, task)): Path<(ProjectKey, TaskId)>,
    Query(wanted): Query<OfBranch>,
    Caller(user): Caller,
) -> Result<Response> {
    let branch = branch_of(wanted.branch.as_deref())?;
    let files = state.engine.conversation_files(&user, &project, task, branch).await?;
    Ok(json(StatusCode::OK, Items::whole(files.into_iter().map(rest::RunFile::from).collect())))
}
