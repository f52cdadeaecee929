//! Tasks and their messages.

use super::{From, Items, json};
use crate::{
    AppState,
    extract::{Caller, Path, Query},
    problem::{ProblemDetails, Result},
    rest,
    router::Route,
};
use axum::{extract::State, http::StatusCode, response::Response};
use domain::{branch::Branch, id::TaskId, key::ProjectKey};
use serde::Deserialize;

pub fn routes() -> Vec<Route> {
    vec![
        Route::get("/api/v1/projects/{project}/tasks", list),
        Route::get("/api/v1/projects/{project}/tasks/{task}", show),
        Route::get("/api/v1/projects/{project}/tasks/{task}/messages", messages),
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
struct Wanted {
    cursor: Option<String>,
    /// `main`, or the id of a branch's first message; none: all messages, whatever their branch.
    branch: Option<String>,
}

/// The newest page first, each page in the order of the conversation.
async fn messages(
    State(state): State<AppState>,
    Path((project, task)): Path<(ProjectKey, TaskId)>,
    Query(wanted): Query<Wanted>,
    Caller(user): Caller,
) -> Result<Response> {
    let cursor = wanted.cursor.as_deref();
    let mut page = match wanted.branch.as_deref() {
        None => state.engine.messages(&user, &project, task, cursor).await?,
        Some(branch) => {
            let branch: Branch = branch.parse().map_err(|_| {
                ProblemDetails::bad_request("branch wants 'main' or the id of a branch's first message")
            })?;
            state.engine.messages_of(&user, &project, task, branch, cursor).await?
        }
    };
    page.items.reverse();
    Ok(json(StatusCode::OK, Items::of(page, rest::Message::from)))
}
