//! Errors on the wire, as a class and a sentence.
//!
//! | on the wire | class |
//! |---|---|
//! | 429 | `rateLimit`, with `Retry-After`; `auth` where the account's quota is used up |
//! | 408 | `timeout` |
//! | 5xx | `overload`, with `Retry-After` |
//! | 401, 402, 403 | `auth` |
//! | other 4xx, redirects | `badRequest` |
//! | no connection, name not found, closed before an answer | `network` |
//! | closed in the middle of an answer | `truncated` |
//! | not JSON where JSON belongs, a web page with status 200 | `network`: what answered is not, or not just now, a model; proxies and gateways give such pages while they restart, so it is worth another try |
//! | an error reported within a stream | by its type, else `overload` |

use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use domain::error::ErrorClass;
use genai::webc;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use serde_json::Value;

use super::error::{ModelError, Redactor};
use super::http::CONNECT_TIMEOUT;

/// OpenAI's error codes, in a 429, for an account that has no money left: waiting does not help.
const QUOTA: [&str; 2] = ["\"insufficient_quota\"", "\"billing_hard_limit_reached\""];

/// What messages about a provider need to know about it.
#[derive(Clone)]
pub(super) struct Wire {
    place: Arc<str>,
    redactor: Redactor,
}

impl Wire {
    /// `place` is scheme, host and port: where to look for the cause.
    pub fn new(place: String, redactor: Redactor) -> Self {
        Self { place: place.into(), redactor }
    }

    pub fn place(&self) -> &str {
        &self.place
    }

    pub fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    /// Classifies an error of a call that was not sent.
    pub fn before_sending(&self, error: &genai::Error) -> ModelError {
        use genai::Error::{NoAuthData, NoAuthResolver, RequiresApiKey, Resolver};
        let (class, message) = match error {
            RequiresApiKey { .. } | NoAuthData { .. } | NoAuthResolver { .. } | Resolver { .. } => {
                (ErrorClass::Auth, "The provider needs an API key")
            }
            _ => (ErrorClass::BadRequest, "The request cannot be put into the provider's form"),
        };
        ModelError::new(class, message).with_source(error, &self.redactor)
    }

    /// Classifies an error of a call that was sent, or should have been.
    pub fn classify(&self, error: &genai::Error) -> ModelError {
        use genai::Error as E;
        let classified = match error {
            E::HttpError { status, body, headers, .. } => self.refused(*status, body, headers),
            E::WebStream { error, .. } => {
                if let Some(inner) = error.downcast_ref::<genai::Error>() {
                    return self.classify(inner);
                }
                match error.downcast_ref::<reqwest::Error>() {
                    Some(error) => self.broken(error),
                    None => self.unreadable("it is not UTF-8"),
                }
            }
            E::WebModelCall { webc_error, .. } | E::WebAdapterCall { webc_error, .. } => match webc_error {
                webc::Error::ResponseFailedStatus { status, body, headers } => {
                    self.refused(*status, body, headers)
                }
                webc::Error::Reqwest(error) => self.broken(error),
                webc::Error::ResponseFailedNotJson { .. } => self.not_a_model(),
                webc::Error::ResponseFailedInvalidJson { cause, .. } => self.unreadable(cause),
                webc::Error::JsonValueExt(_) => self.unreadable("it lacks what belongs in it"),
            },
            E::StreamParse { serde_error, .. } => self.unreadable(&serde_error.to_string()),
            E::ChatResponse { body, .. } => self.reported(body),
            E::JsonValueExt(_) | E::SerdeJson(_) | E::InvalidJsonResponseElement { .. } => {
                self.unreadable("it lacks what belongs in it")
            }
            other => return self.before_sending(other),
        };
        classified.with_source(error, &self.redactor)
    }

    /// Classifies an error that the provider reports instead of, or within, an answer.
    pub fn reported(&self, body: &Value) -> ModelError {
        let error = body.get("error").unwrap_or(body);
        let kind = ["type", "status", "code"]
            .iter()
            .find_map(|field| error.get(field)?.as_str())
            .unwrap_or_default();
        let code = error.get("code").and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok());
        let class = match kind {
            "rate_limit_error" | "rate_limit_exceeded" | "RESOURCE_EXHAUSTED" => ErrorClass::RateLimit,
            "authentication_error" | "permission_error" | "UNAUTHENTICATED" | "PERMISSION_DENIED" => {
                ErrorClass::Auth
            }
            "invalid_request_error"
            | "not_found_error"
            | "request_too_large"
            | "INVALID_ARGUMENT"
            | "NOT_FOUND" => ErrorClass::BadRequest,
            _ => match code.and_then(|code| StatusCode::from_u16(code).ok()) {
                Some(status) if status.is_client_error() => class_of(status),
                _ => ErrorClass::Overload,
            },
        };
        let said = self.said(&body.to_string());
        ModelError::new(class, format!("The provider broke off with an error{said}"))
    }

    /// The error for a response that is not a model's.
    pub fn not_a_model(&self) -> ModelError {
        let message = format!(
            "What {} answered is not a model's answer but another document, perhaps an HTML page; is the base URL right?",
            self.place
        );
        ModelError::new(ErrorClass::Network, message)
    }

    fn unreadable(&self, why: &str) -> ModelError {
        let why = self.redactor.quote(why);
        ModelError::new(ErrorClass::Network, format!("The answer of {} cannot be read: {why}", self.place))
    }

    fn refused(&self, status: StatusCode, body: &str, headers: &HeaderMap) -> ModelError {
        let is_used_up =
            status == StatusCode::TOO_MANY_REQUESTS && QUOTA.iter().any(|code| body.contains(code));
        let class = if is_used_up { ErrorClass::Auth } else { class_of(status) };
        let what = match class {
            _ if is_used_up => "The account's quota at the provider is used up",
            ErrorClass::RateLimit => "The provider asks us to slow down",
            ErrorClass::Overload => "The provider is unwell",
            ErrorClass::Auth => "The provider does not accept the API key",
            ErrorClass::Timeout => "The provider ran out of time",
            _ if status.is_redirection() => "The provider points elsewhere, and redirects are not followed",
            _ => "The provider refused the request",
        };
        // A provider's message about a wrong key mostly repeats the key.
        let said = if status == StatusCode::UNAUTHORIZED { String::new() } else { self.said(body) };
        ModelError::new(class, format!("{what} (HTTP {}){said}", status.as_u16()))
            .with_retry_after(retry_after(headers, SystemTime::now()).or_else(|| retry_delay(body)))
    }

    /// Classifies a connection that could not be made, or broke.
    fn broken(&self, error: &reqwest::Error) -> ModelError {
        let place = &self.place;
        let (class, message) = if error.is_connect() && error.is_timeout() {
            (ErrorClass::Network, format!("no connection to {place} within {} s", CONNECT_TIMEOUT.as_secs()))
        } else if error.is_connect() {
            (ErrorClass::Network, format!("{} at {place}", innermost(error)))
        } else if error.is_timeout() {
            (ErrorClass::Timeout, format!("{place} did not answer in time"))
        } else if error.is_body() || error.is_decode() {
            (ErrorClass::Truncated, format!("the connection to {place} broke in the middle of the answer"))
        } else {
            let why = self.redactor.quote(&innermost(error));
            (ErrorClass::Network, format!("{place} closed the connection before it answered: {why}"))
        };
        ModelError::new(class, capitalised(message))
    }

    /// The provider's own message from an error's body, after a colon; empty if there is none.
    fn said(&self, body: &str) -> String {
        let words = match serde_json::from_str::<Value>(body) {
            Ok(body) => ["/error/message", "/message", "/error", "/detail"]
                .iter()
                .find_map(|path| body.pointer(path)?.as_str().map(str::to_owned))
                .unwrap_or_default(),
            Err(_) if body.trim_start().starts_with('<') => String::new(),
            Err(_) => body.to_owned(),
        };
        if words.trim().is_empty() { String::new() } else { format!(": {}", self.redactor.quote(&words)) }
    }
}

fn class_of(status: StatusCode) -> ErrorClass {
    match status.as_u16() {
        429 => ErrorClass::RateLimit,
        408 => ErrorClass::Timeout,
        401..=403 => ErrorClass::Auth,
        500.. => ErrorClass::Overload,
        _ => ErrorClass::BadRequest,
    }
}

/// `Retry-After` in seconds or as a date, or the more exact `retry-after-ms` of some providers.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    if let Some(milliseconds) = text("retry-after-ms").and_then(|text| text.parse().ok()) {
        return Some(Duration::from_millis(milliseconds));
    }
    let value = text(RETRY_AFTER.as_str())?;
    if let Ok(seconds) = value.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

/// Gemini's time to wait, from the body: `error.details[].retryDelay`, as `34.07s`.
fn retry_delay(body: &str) -> Option<Duration> {
    let body: Value = serde_json::from_str(body).ok()?;
    let details = body.pointer("/error/details")?.as_array()?;
    let delay = details.iter().find_map(|detail| detail.get("retryDelay")?.as_str())?;
    Duration::try_from_secs_f64(delay.trim_end_matches('s').parse().ok()?).ok()
}

/// The innermost cause, which names the problem; the errors around it name only layers of our own stack.
pub(super) fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    loop {
        if let Some(error) = cause.downcast_ref::<io::Error>()
            && error.kind() == io::ErrorKind::ConnectionRefused
        {
            return "connection refused".to_owned();
        }
        match cause.source() {
            Some(source) => cause = source,
            // The outermost error would name the whole URL.
            None if std::ptr::addr_eq(cause, error) => return "unknown reason".to_owned(),
            None => return cause.to_string(),
        }
    }
}

fn capitalised(text: String) -> String {
    let mut letters = text.chars();
    match letters.next() {
        Some(first) if !text.starts_with("http") => first.to_uppercase().chain(letters).collect(),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = httpdate::parse_http_date("Wed, 21 Oct 2026 07:28:00 GMT").unwrap();
        let read = |name: &'static str, value: &'static str| {
            let headers = HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())]);
            retry_after(&headers, now).map(|duration| duration.as_millis())
        };
        assert_eq!(read("retry-after", "7"), Some(7_000));
        assert_eq!(read("retry-after", "0.5"), Some(500));
        assert_eq!(read("retry-after", "Wed, 21 Oct 2026 07:28:30 GMT"), Some(30_000));
        assert_eq!(read("retry-after", "Wed, 21 Oct 2026 07:27:30 GMT"), Some(0));
        assert_eq!(read("retry-after", "-1"), None);
        assert_eq!(read("retry-after", "soon"), None);
        assert_eq!(read("retry-after-ms", "250"), Some(250));
        assert_eq!(read("x-other", "7"), None);
    }

    #[test]
    fn a_wait_may_stand_in_the_body_and_a_used_up_quota_is_no_pace() {
        let wire = Wire::new("http://h".to_owned(), Redactor::default());
        let refused = |body: &str| wire.refused(StatusCode::TOO_MANY_REQUESTS, body, &HeaderMap::new());
        let error = refused(
            r#"{"error": {"code": 429, "details": [{"@type": "x"}, {"@type": "RetryInfo", "retryDelay": "34.5s"}]}}"#,
        );
        assert_eq!(
            (error.class, error.retry_after),
            (ErrorClass::RateLimit, Some(Duration::from_millis(34_500)))
        );
        assert!(error.is_throttled());
        let error = refused(r#"{"error": {"code": "insufficient_quota", "message": "Check your plan."}}"#);
        assert_eq!((error.class, error.is_throttled()), (ErrorClass::Auth, false), "{error}");
        assert!(error.message.ends_with("Check your plan."), "{error}");
    }

    #[test]
    fn statuses_have_classes() {
        for (status, class) in [
            (301, ErrorClass::BadRequest),
            (400, ErrorClass::BadRequest),
            (401, ErrorClass::Auth),
            (403, ErrorClass::Auth),
            (404, ErrorClass::BadRequest),
            (408, ErrorClass::Timeout),
            (422, ErrorClass::BadRequest),
            (429, ErrorClass::RateLimit),
            (500, ErrorClass::Overload),
            (502, ErrorClass::Overload),
            (529, ErrorClass::Overload),
        ] {
            assert_eq!(class_of(StatusCode::from_u16(status).unwrap()), class, "{status}");
        }
    }
}
