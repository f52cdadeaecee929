//! Error responses as problem+json (RFC 9457). The only place that maps the engine's errors to HTTP statuses.

use axum::{
    http::{
        HeaderValue, StatusCode,
        header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
    },
    response::{IntoResponse, Response},
};
use domain::problem::Problem;
use engine::Error;
use serde::Serialize;

/// The body of an error response. Its texts are safe to show to the requesting user.
#[derive(Debug, Serialize)]
pub struct ProblemDetails {
    /// `urn:troupe:problem:` followed by a stable word for programs.
    #[serde(rename = "type")]
    kind: String,
    title: &'static str,
    #[serde(serialize_with = "number")]
    status: StatusCode,
    detail: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<Problem>,
    /// Seconds after which a retry may succeed (`Retry-After`).
    #[serde(skip)]
    retry_after: Option<u64>,
}

pub type Result<T, E = ProblemDetails> = std::result::Result<T, E>;

fn number<S: serde::Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}

impl ProblemDetails {
    pub fn new(status: StatusCode, word: &str, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("urn:troupe:problem:{word}"),
            title: status.canonical_reason().unwrap_or("Error"),
            status,
            detail: detail.into(),
            problems: Vec::new(),
            retry_after: None,
        }
    }

    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-request", detail)
    }

    pub fn unauthenticated(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", detail)
    }

    pub fn invalid(problems: Vec<Problem>) -> Self {
        let detail = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", detail).with_problems(problems)
    }

    pub fn with_problems(mut self, problems: Vec<Problem>) -> Self {
        self.problems = problems;
        self
    }

    pub fn status(&self) -> StatusCode {
        self.status
    }

    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// A stale save is a failed precondition if the request named one (RFC 9110), else a conflict.
    pub fn of_precondition(mut self, named: bool) -> Self {
        if named && self.kind.ends_with(":stale") {
            self.status = StatusCode::PRECONDITION_FAILED;
            self.title = "Precondition Failed";
        }
        self
    }
}

impl From<Error> for ProblemDetails {
    fn from(error: Error) -> Self {
        let detail = error.to_string();
        let (status, word) = match error {
            Error::Unauthenticated(_) => (StatusCode::UNAUTHORIZED, "unauthenticated"),
            Error::Throttled { retry_after_seconds } | Error::TooMany { retry_after_seconds, .. } => {
                let mut problem = Self::new(StatusCode::TOO_MANY_REQUESTS, "throttled", detail);
                problem.retry_after = Some(retry_after_seconds);
                return problem;
            }
            Error::Forbidden(_) | Error::AdminsOnly | Error::EditorsOnly => {
                (StatusCode::FORBIDDEN, "forbidden")
            }
            Error::NotFound { .. } => (StatusCode::NOT_FOUND, "not-found"),
            Error::Invalid(problems) => return Self::invalid(problems),
            Error::Conflict(_) => (StatusCode::CONFLICT, "conflict"),
            Error::Stale { .. } => (StatusCode::CONFLICT, "stale"),
            Error::TooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, "too-large"),
            Error::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
            Error::Internal(source) => {
                tracing::error!(error = %chain(source.as_ref()), "a request failed");
                (StatusCode::INTERNAL_SERVER_ERROR, "internal")
            }
        };
        Self::new(status, word, detail)
    }
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let sources = std::iter::successors(Some(error), |error| error.source());
    sources.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

impl IntoResponse for ProblemDetails {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"troupe\""));
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
