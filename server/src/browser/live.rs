//! The live connection of a tab: events of the runs that it shows and changes of its project, from the cursor at which
//! the page was rendered.

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

/// Sends unnamed frames with their cursor as the id, a `heartbeat` every ten seconds, and `gone` when the session or
/// the membership has ended, after which the client must not reconnect.
pub async fn live(
    State(state): State<AppState>,
    Path(project): Path<ProjectKey>,
    Query(place): Query<LiveQuery>,
    Caller(user): Caller,
    Extension(credential): Extension<Credential>,
    headers: HeaderMap,
) -> Result<Response> {
    // A reconnecting browser repeats its original address; its current position is in the `Last-Event-ID` header.
    let last = headers.get("last-event-id").and_then(|value| value.to_str().ok());
    let place = last.filter(|id| !id.is_empty()).unwrap_or(&place.after);
    let cursor = place.parse::<Cursor>().map_err(|error| ProblemDetails::bad_request(error.to_string()))?;
    let seat = state.engine.take_seat(&user, &credential.id())?;
    let frames = state.engine.live(&user, &project, cursor).await?;
    let events = watch::watch(&state, credential, seat, frames).map(|seen| match seen {
        Seen::Frame(cursor, frame) => watch::event(&frame).id(cursor.to_string()),
        Seen::Heartbeat => sse::Event::default().event("heartbeat").data("{}"),
        Seen::Gone(reason) => watch::event(&json!({ "reason": reason })).event("gone"),
    });
    Ok(watch::answer(events))
}
