//! Search over a project.

use super::{Items, json};
use crate::{
    AppState,
    extract::{Caller, Path, Query},
    problem::Result,
    rest,
    router::Route,
};
use axum::{extract::State, http::StatusCode, response::Response};
use domain::key::ProjectKey;
use serde::Deserialize;

pub fn routes() -> Vec<Route> {
    vec![Route::get("/api/v1/projects/{project}/search", search)]
}

#[derive(Deserialize)]
struct Asked {
    q: String,
    cursor: Option<String>,
}

async fn search(
    State(state): State<AppState>,
    Path(project): Path<ProjectKey>,
    Query(asked): Query<Asked>,
    Caller(user): Caller,
) -> Result<Response> {
    let page = state.engine.search(&user, &project, &asked.q, asked.cursor.as_deref()).await?;
    Ok(json(StatusCode::OK, Items::of(page, rest::Found::from)))
}
