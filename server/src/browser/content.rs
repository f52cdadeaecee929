//! A stored text in full, as plain text: for the browser to show or save, never to run.

use crate::{
    AppState,
    extract::{Caller, Path},
    problem::Result,
};
use axum::{
    extract::State,
    http::header::{CACHE_CONTROL, CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use domain::{
    id::{ContentId, RunNumber},
    key::ProjectKey,
};

/// Also behind the REST interface, for the references that stand there for long outputs.
pub async fn content(
    State(state): State<AppState>,
    Path((project, run, content)): Path<(ProjectKey, RunNumber, ContentId)>,
    Caller(user): Caller,
) -> Result<Response> {
    let found = state.engine.content(&user, &project, run, content, None).await?;
    // A stored text never changes, but who may read it does: the browser asks each time.
    let headers = [(CONTENT_TYPE, "text/plain; charset=utf-8"), (CACHE_CONTROL, "private, no-cache")];
    Ok((headers, found.text).into_response())
}
