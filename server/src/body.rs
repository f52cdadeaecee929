//! How much a request may send. Bodies are read here, whole, before a route sees them: a route parses, it does not wait.
//!
//! A body that is too large is read on for a while and thrown away, so that its sender, who first writes and then reads,
//! gets to read the refusal.

use crate::{guard::Stranger, problem::ProblemDetails, routes};
use axum::{
    body::{Body, Bytes},
    extract::{MatchedPath, Request},
    http::{HeaderMap, Method, StatusCode, header::EXPECT},
    middleware::Next,
    response::{IntoResponse, Response},
};
use domain::template;
use futures::StreamExt;

const MB: usize = 1024 * 1024;
/// The largest body there is: a launch with its input.
const LIMIT: usize = 8 * MB;
/// The forms of the sign-in pages.
const STRANGERS: usize = 64 * 1024;
/// How much of a body is thrown away beyond its limit.
const DRAINED: usize = 8 * MB;

enum Failure {
    TooLarge { limit: usize },
    Broken,
}

pub async fn bound(request: Request, next: Next) -> Response {
    let limit = limit(&request);
    let (parts, body) = request.into_parts();
    match read(body, &parts.headers, limit).await {
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
        Err(Failure::Broken) => {
            ProblemDetails::bad_request("the body broke off before its end").into_response()
        }
    }
}

fn limit(request: &Request) -> usize {
    if request.extensions().get::<Stranger>().is_some() {
        return STRANGERS;
    }
    let path = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let document = matches!(path, Some(routes::templates::ALL | routes::templates::ONE));
    if document && matches!(*request.method(), Method::POST | Method::PUT) {
        return template::MAX_BYTES;
    }
    LIMIT
}

async fn read(body: Body, headers: &HeaderMap, limit: usize) -> Result<Bytes, Failure> {
    let declared = http_body(&body);
    // One who asks first has not sent anything yet: no need to read it.
    if declared > limit as u64 && headers.contains_key(EXPECT) {
        return Err(Failure::TooLarge { limit });
    }
    let mut kept = Vec::with_capacity(declared.min(limit as u64) as usize);
    let mut seen = 0;
    let mut pieces = body.into_data_stream();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|_| Failure::Broken)?;
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

/// The length that the sender declared, or 0.
fn http_body(body: &Body) -> u64 {
    use axum::body::HttpBody;
    body.size_hint().exact().unwrap_or(0)
}
