//! The one connection of a tab: the runs it shows and its project's changes, from where its page was drawn.

use crate::{
    AppState,
    extract::{Caller, Path, Query},
    guard::Credential,
    problem::{ProblemDetails, Result},
    watch::{self, Seen},
};
use axum::{
    Extension,
    extract::State,
    http::HeaderMap,
    response::{Response, sse},
};
use domain::key::ProjectKey;
use engine::Cursor;
use futures::StreamExt;
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
pub struct LiveQuery {
    #[serde(default)]
    after: String,
}

/// Frames without a name, each under its cursor; `heartbeat` every ten seconds; `gone` when the session or the
/// membership is, after which coming back is of no use.
pub async fn live(
    State(state): State<AppState>,
    Path(project): Path<ProjectKey>,
    Query(place): Query<LiveQuery>,
    Caller(user): Caller,
    Extension(credential): Extension<Credential>,
    headers: HeaderMap,
) -> Result<Response> {
    // A browser that reconnects repeats the address it began with; where it has got to is in the header.
    let last = headers.get("last-event-id").and_then(|value| value.to_str().ok());
    let place = last.filter(|id| !id.is_empty()).unwrap_or(&place.after);
    let cursor = place.parse::<Cursor>().map_err(|error| ProblemDetails::bad_request(error.to_string()))?;
    let frames = state.engine.live(&user, &project, cursor).await?;
    let events = watch::watch(&state, credential, frames).map(|seen| match seen {
        Seen::Frame(cursor, frame) => watch::event(&frame).id(cursor.to_string()),
        Seen::Heartbeat => sse::Event::default().event("heartbeat").data("{}"),
        Seen::Gone(reason) => watch::event(&json!({ "reason": reason })).event("gone"),
    });
    Ok(watch::answer(events))
}
