//! Serves a stored text in full as plain text, so that the browser shows or saves it and never executes it.

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

/// The REST interface uses this route too: long outputs refer to it.
pub async fn content(
    State(state): State<AppState>,
    Path((project, run, content)): Path<(ProjectKey, RunNumber, ContentId)>,
    Caller(user): Caller,
) -> Result<Response> {
    let found = state.engine.content(&user, &project, run, content, None).await?;
    // A stored text never changes, but access to it can be revoked, so the browser revalidates each time.
    let headers = [(CONTENT_TYPE, "text/plain; charset=utf-8"), (CACHE_CONTROL, "private, no-cache")];
    Ok((headers, found.text).into_response())
}
