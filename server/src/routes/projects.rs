//! Projects.

use super::{Items, json};
use crate::{
    AppState,
    extract::{Body, Caller, Path, behind},
    problem::Result,
    router::Route,
};
use axum::{
    extract::State,
    http::{StatusCode, header::LOCATION},
    response::{IntoResponse, Response},
};
use domain::key::ProjectKey;
use serde::Deserialize;

const ALL: &str = "/api/v1/projects";

pub fn routes() -> Vec<Route> {
    vec![Route::get(ALL, list), Route::post(ALL, create), Route::get("/api/v1/projects/{project}", show)]
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Draft {
    key: ProjectKey,
    name: String,
}

async fn list(State(state): State<AppState>, Caller(user): Caller) -> Result<Response> {
    Ok(json(StatusCode::OK, Items::whole(state.engine.projects(&user).await?)))
}

async fn create(State(state): State<AppState>, Caller(user): Caller, body: Body) -> Result<Response> {
    let gate = async { state.engine.permits_installation(&user) };
    let draft: Draft = behind(gate, body.json()).await?;
    let project = state.engine.create_project(&user, draft.key, &draft.name).await?;
    let location = format!("{ALL}/{}", project.key);
    Ok(([(LOCATION, location)], json(StatusCode::CREATED, project)).into_response())
}

async fn show(
    State(state): State<AppState>,
    Path(key): Path<ProjectKey>,
    Caller(user): Caller,
) -> Result<Response> {
    Ok(json(StatusCode::OK, state.engine.project(&user, &key).await?))
}
