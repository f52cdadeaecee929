//! Tasks and their messages.

use super::{From, Items, json};
use crate::{
    AppState,
    extract::{Caller, Path, Query},
    problem::Result,
    rest,
    router::Route,
};
use axum::{extract::State, http::StatusCode, response::Response};
use domain::{id::TaskId, key::ProjectKey};

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

/// The newest page first, each page in the order of the conversation.
async fn messages(
    State(state): State<AppState>,
    Path((project, task)): Path<(ProjectKey, TaskId)>,
    Query(from): Query<From>,
    Caller(user): Caller,
) -> Result<Response> {
    let mut page = state.engine.messages(&user, &project, task, from.cursor.as_deref()).await?;
    page.items.reverse();
    Ok(json(StatusCode::OK, Items::of(page, rest::Message::from)))
}
