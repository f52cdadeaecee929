//! The inbox of the requesting user.

use super::{From, Items, json};
use crate::{
    AppState,
    extract::{Caller, Path, Query},
    problem::Result,
    rest,
    router::Route,
};
use axum::{extract::State, http::StatusCode, response::Response};
use domain::key::ProjectKey;

pub fn routes() -> Vec<Route> {
    vec![Route::get("/api/v1/projects/{project}/inbox", list)]
}

async fn list(
    State(state): State<AppState>,
    Path(project): Path<ProjectKey>,
    Query(from): Query<From>,
    Caller(user): Caller,
) -> Result<Response> {
    let page = state.engine.inbox(&user, &project, from.cursor.as_deref()).await?;
    Ok(json(StatusCode::OK, Items::of(page, rest::InboxItem::from)))
}
