//! Logs: to standard error, filtered by `RUST_LOG`, as JSON if `TROUPE_LOG_FORMAT=json`. Each request has an id and a
//! span. Queries, headers and bodies are not logged, because they contain tokens, cookies and keys.

use crate::problem::ProblemDetails;
use axum::{
    extract::Request,
    http::{HeaderName, HeaderValue, StatusCode},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures::FutureExt;
use std::{any::Any, panic::AssertUnwindSafe, time::Instant};
use tracing::Instrument;
use tracing_subscriber::EnvFilter;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Starts logging; `usual` is the filter if `RUST_LOG` is not set.
pub fn start(usual: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(usual));
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match std::env::var("TROUPE_LOG_FORMAT").as_deref() {
        Ok("json") => logs.json().try_init(),
        _ => logs.try_init(),
    };
    // A second start in one process (tests) keeps the first subscriber.
    drop(started);
}

/// Wraps every request: gives it an id, and responds with 500 if its handler panics.
pub async fn trace(request: Request, next: Next) -> Response {
    let id = format!("{:016x}", rand::random::<u64>());
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let span = tracing::info_span!("request", id, %method, path);
    let began = Instant::now();
    let handled = AssertUnwindSafe(next.run(request)).catch_unwind().instrument(span.clone()).await;
    let _entered = span.entered();
    let mut response = handled.unwrap_or_else(|panic| {
        tracing::error!(panic = said(panic.as_ref()), "the handling of a request panicked");
        ProblemDetails::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "something went wrong on the server; its log has the details",
        )
        .into_response()
    });
    let milliseconds = began.elapsed().as_secs_f64() * 1000.0;
    tracing::debug!(status = response.status().as_u16(), milliseconds, "answered");
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

fn said(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("(no words)")
}
