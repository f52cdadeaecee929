//! Limits on request bodies. Bodies are read here completely before a route handles them, so a route only parses.
//!
//! The rest of a body that is too large is read and discarded up to a limit, because a client that writes the whole
//! body before it reads would otherwise never see the error response.

use crate::{
    AppState,
    connections::Slot,
    guard::Stranger,
    problem::{ProblemDetails, Result},
    routes,
};
use axum::{
    RequestPartsExt,
    body::{Body, Bytes, HttpBody},
    extract::{MatchedPath, RawPathParams, Request, State},
    http::{HeaderMap, Method, StatusCode, header::EXPECT, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use domain::{access::Permission, key::ProjectKey, template, view::User};
use futures::StreamExt;
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

const MB: usize = 1024 * 1024;
/// The largest body: a launch with its input.
const LIMIT: usize = 8 * MB;
/// Body limit of unauthenticated requests, which are the forms of the sign-in pages, and of users who are a member of
/// nothing.
const SMALL: usize = 64 * 1024;
/// Maximum number of bytes read and discarded beyond the limit.
const DRAINED: usize = 8 * MB;

/// Time limit of a body, which each [`RATE`] bytes that arrive extend by a second.
const TIME: Duration = Duration::from_secs(10);
/// The slowest client, in bytes per second.
const RATE: f64 = 16.0 * 1024.0;
/// After the server has been told to stop, how long a body may take.
const LAST_TIME: Duration = Duration::from_secs(1);

enum Failure {
    TooLarge { limit: usize },
    Slow,
    Stopping,
    Broken,
}

pub async fn bound(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    // Anybody can begin to send a body; only from who is signed in is it a reason to keep the connection.
    let slot = parts.extensions.get::<Arc<Slot>>().cloned();
    let busy = || slot.iter().for_each(|slot| slot.mark_busy());
    if parts.extensions.get::<Stranger>().is_none() {
        busy();
    }
    let limit = match limit(&state, &mut parts, body.size_hint().upper()).await {
        Ok(limit) => limit,
        Err(problem) => {
            // A body that is not wanted is discarded, as if none of it were allowed.
            drop(read(body, &parts.headers, 0, &state.stopping).await);
            return problem.into_response();
        }
    };
    let read = read(body, &parts.headers, limit, &state.stopping).await;
    busy();
    match read {
        Ok(bytes) => next.run(Request::from_parts(parts, Body::from(bytes))).await,
        Err(Failure::TooLarge { limit }) => {
            let size = if limit < MB { format!("{} KB", limit / 1024) } else { format!("{} MB", limit / MB) };
            ProblemDetails::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "too-large",
                format!("the body is larger than {size}, the most that is taken here"),
            )
            .into_response()
        }
        Err(Failure::Slow) => ProblemDetails::new(
            StatusCode::REQUEST_TIMEOUT,
            "timeout",
            format!(
                "the body took more than {} seconds, and came with less than 16 KB per second",
                TIME.as_secs()
            ),
        )
        .into_response(),
        Err(Failure::Stopping) => {
            ProblemDetails::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "the server is stopping")
                .into_response()
        }
        Err(Failure::Broken) => {
            ProblemDetails::bad_request("the body broke off before its end").into_response()
        }
    }
}

/// # Errors
/// The body would be large, and the user has no access to the project that the path names: they must not make the
/// server read it.
async fn limit(state: &AppState, parts: &mut Parts, upper: Option<u64>) -> Result<usize> {
    if parts.extensions.get::<Stranger>().is_some() {
        return Ok(SMALL);
    }
    if upper.is_none_or(|bytes| bytes > SMALL as u64)
        && let Some(user) = parts.extensions.get::<User>().cloned()
    {
        if let Some(project) = project(parts).await {
            state.engine.permits(&user, &project, Permission::Viewer).await?;
        } else if !state.engine.is_member(&user).await? {
            return Ok(SMALL);
        }
    }
    let path = parts.extensions.get::<MatchedPath>().map(MatchedPath::as_str);
    let document = matches!(path, Some(routes::templates::ALL | routes::templates::ONE));
    if document && matches!(parts.method, Method::POST | Method::PUT) {
        return Ok(template::MAX_BYTES);
    }
    Ok(LIMIT)
}

/// The project that the path names.
async fn project(parts: &mut Parts) -> Option<ProjectKey> {
    let values = parts.extract::<RawPathParams>().await.ok()?;
    let (_, key) = values.iter().find(|(name, _)| *name == "project")?;
    ProjectKey::parse(key).ok()
}

async fn read(
    body: Body,
    headers: &HeaderMap,
    limit: usize,
    stopping: &CancellationToken,
) -> Result<Bytes, Failure> {
    let stopped = async {
        stopping.cancelled().await;
        sleep(LAST_TIME).await;
    };
    tokio::select! {
        read = read_in_time(body, headers, limit) => read,
        () = stopped => Err(Failure::Stopping),
    }
}

async fn read_in_time(body: Body, headers: &HeaderMap, limit: usize) -> Result<Bytes, Failure> {
    // The declared length, or 0.
    let declared = body.size_hint().exact().unwrap_or(0);
    // A client that sends `Expect` has not sent the body yet, so there is nothing to discard.
    if declared > limit as u64 && headers.contains_key(EXPECT) {
        return Err(Failure::TooLarge { limit });
    }
    let mut kept = Vec::with_capacity(declared.min(limit as u64) as usize);
    let mut seen = 0;
    let mut pieces = body.into_data_stream();
    let mut deadline = Instant::now() + TIME;
    while let Some(piece) = timeout_at(deadline, pieces.next()).await.map_err(|_| Failure::Slow)? {
        let piece = piece.map_err(|_| Failure::Broken)?;
        deadline += Duration::from_secs_f64(piece.len() as f64 / RATE);
        seen += piece.len();
        if seen <= limit {
            kept.extend_from_slice(&piece);
        } else {
            kept = Vec::new();
            if seen > limit + DRAINED {
                break;
            }
        }
    }
    if seen > limit { Err(Failure::TooLarge { limit }) } else { Ok(kept.into()) }
}
