//! Limits on request bodies. Bodies are read here completely before a route handles them, so a route only parses.
//!
//! The rest of a body that is too large is read and discarded up to a limit, because a client that writes the whole
//! body before it reads would otherwise never see the error response.

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
/// The largest body: a launch with its input.
const LIMIT: usize = 8 * MB;
/// Body limit of unauthenticated requests: the forms of the sign-in pages.
const STRANGERS: usize = 64 * 1024;
/// Maximum number of bytes read and discarded beyond the limit.
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
    // A client that sends `Expect` has not sent the body yet, so there is nothing to discard.
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

/// The declared length, or 0.
fn http_body(body: &Body) -> u64 {
    use axum::body::HttpBody;
    body.size_hint().exact().unwrap_or(0)
}
