//! Extractors of request data. Their errors name the place and the problem.

use crate::problem::{ProblemDetails, Result};
use axum::{
    body::{self, Bytes},
    extract::{FromRequest, FromRequestParts, Request},
    http::{
        HeaderMap, StatusCode,
        header::{ACCEPT, CONTENT_TYPE, IF_MATCH, IF_NONE_MATCH},
        request::Parts,
    },
};
use domain::{json, problem::Problem, view::User};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The authenticated user. The guard has identified them before a route is called.
pub struct Caller(pub User);

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = ProblemDetails;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        let user = parts.extensions.get::<User>().cloned();
        user.map(Self).ok_or_else(|| ProblemDetails::unauthenticated("sign in, or send a token"))
    }
}

/// The parameters of a path. A malformed key or number names nothing, so the response is 404.
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = ProblemDetails;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        match axum::extract::Path::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(found)) => Ok(Self(found)),
            Err(_) => Err(ProblemDetails::new(
                StatusCode::NOT_FOUND,
                "not-found",
                format!("there is nothing at {}", parts.uri.path()),
            )),
        }
    }
}

pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ProblemDetails;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        match axum::extract::Query::from_request_parts(parts, state).await {
            Ok(axum::extract::Query(found)) => Ok(Self(found)),
            Err(rejection) => Err(ProblemDetails::bad_request(rejection.body_text())),
        }
    }
}

/// The whole body, to be parsed by [`Body::json`] or [`Body::text`]. A route with a body passes the result to
/// [`behind`], so that parse errors are reported only to users with access.
pub struct Body {
    kind: Option<String>,
    bytes: Bytes,
}

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = ProblemDetails;

    async fn from_request(request: Request, _: &S) -> Result<Self> {
        let kind = content_type(request.headers());
        // The body layer has already limited its size.
        let bytes = body::to_bytes(request.into_body(), usize::MAX).await;
        let bytes = bytes.map_err(|_| ProblemDetails::bad_request("the body broke off before its end"))?;
        Ok(Self { kind, bytes })
    }
}

impl Body {
    /// Parses the body as JSON. An empty body counts as `{}`, so requests without required fields need none.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        match self.kind.as_deref() {
            None if self.bytes.is_empty() => parse_json(b"{}"),
            Some(kind) if kind == "application/json" || kind.ends_with("+json") => parse_json(&self.bytes),
            _ => Err(self.unsupported("application/json")),
        }
    }

    /// The content type in lower case, without parameters.
    pub fn kind(&self) -> Option<&str> {
        self.kind.as_deref()
    }

    /// Decodes the body as text. `what` names its content in the error message.
    pub fn text(self, what: &str) -> Result<String> {
        String::from_utf8(self.bytes.into())
            .map_err(|error| ProblemDetails::bad_request(format!("{what} is not UTF-8: {error}")))
    }

    pub fn unsupported(&self, taken: &str) -> ProblemDetails {
        let given = self.kind.as_ref();
        let given = given.map_or_else(|| "without a Content-Type".to_owned(), |kind| format!("as {kind}"));
        ProblemDetails::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported-media-type",
            format!("the body came {given}; send {taken}"),
        )
    }
}

/// Returns the parsed body, or its error only if `gate` lets the user through: other users get the gate's error, as if
/// the body had been valid. A valid body does not await `gate`, because the engine's command checks access itself.
pub async fn behind<T>(gate: impl Future<Output = engine::Result<()>>, sent: Result<T>) -> Result<T> {
    if sent.is_err() {
        gate.await?;
    }
    sent
}

/// Parses JSON. Errors name the field, line and column: 400 for invalid JSON, 422 for JSON of the wrong shape,
/// including a whole number that would lose digits.
pub fn parse_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let parsed = serde_path_to_error::deserialize(&mut deserializer)
        .map_err(|error| (place(error.path()), error.into_inner()))
        .and_then(|parsed| deserializer.end().map(|()| parsed).map_err(|error| (String::new(), error)));
    let parsed = parsed.map_err(|(path, error)| {
        let text = error.to_string();
        // serde_json repeats the place at the end of its message.
        let message = text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message);
        let mut problem = Problem::new(path, message);
        problem.line = Some(error.line() as u32).filter(|&line| line > 0);
        problem.column = Some(error.column() as u32).filter(|&column| column > 0);
        if error.is_data() {
            return ProblemDetails::invalid(vec![problem]);
        }
        ProblemDetails::bad_request(format!("this is not JSON: {problem}")).with_problems(vec![problem])
    })?;
    match json::too_long(bytes, "") {
        Some(problem) => Err(ProblemDetails::invalid(vec![problem])),
        None => Ok(parsed),
    }
}

/// Parses a body whose `key` may be omitted; if present, it must equal the key in the URL.
pub fn with_key<T: DeserializeOwned>(mut body: Value, key: &str) -> Result<T> {
    if let Some(fields) = body.as_object_mut() {
        let given = fields.entry("key").or_insert_with(|| key.into());
        if given != key {
            let message = format!("the address says '{key}'; a key cannot be changed");
            return Err(ProblemDetails::invalid(vec![Problem::new("key", message)]));
        }
    }
    serde_path_to_error::deserialize(body).map_err(|error| {
        let path = place(error.path());
        ProblemDetails::invalid(vec![Problem::new(path, error.into_inner().to_string())])
    })
}

/// The path of a field; empty for the whole.
fn place(path: &serde_path_to_error::Path) -> String {
    match path.to_string() {
        whole if whole == "." => String::new(),
        path => path,
    }
}

fn content_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

/// Whether the `Accept` header names the media type `kind` explicitly.
pub fn accepts(headers: &HeaderMap, kind: &str) -> bool {
    let mut values = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    values.any(|value| value.split(',').any(|part| part.split(';').next().unwrap_or_default().trim() == kind))
}

/// The version in `If-Match: "3"`, which the editor's change is based on. `None` if any version is accepted.
pub fn if_match(headers: &HeaderMap) -> Result<Option<u32>> {
    let Some(value) = headers.get(IF_MATCH) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    let refused = || ProblemDetails::bad_request("If-Match wants the ETag of a version, such as \"3\"");
    version_of(text).map(Some).ok_or_else(refused)
}

/// Whether the client already has this version (`If-None-Match`).
pub fn has_version(headers: &HeaderMap, version: u32) -> bool {
    let value = headers.get(IF_NONE_MATCH).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(',').any(|tag| tag.trim() == "*" || version_of(tag.trim()) == Some(version))
}

pub fn etag(version: u32) -> String {
    format!("\"{version}\"")
}

fn version_of(tag: &str) -> Option<u32> {
    tag.strip_prefix("W/").unwrap_or(tag).strip_prefix('"')?.strip_suffix('"')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::Launch;

    #[test]
    fn what_is_wrong_with_json_is_told_with_its_place() {
        let refused = |text: &str| {
            let problem = parse_json::<Launch>(text.as_bytes()).err().unwrap();
            (problem.status().as_u16(), serde_json::to_value(problem).unwrap()["problems"][0].clone())
        };
        let (status, problem) = refused("{\n  \"input\": {,}\n}");
        assert_eq!((status, &problem["line"]), (400, &2.into()));
        let (status, problem) = refused("{\"roleAssignments\": {\"A\": \"Not a key\"}}");
        assert_eq!((status, &problem["path"]), (422, &"roleAssignments.A".into()));
        let (status, problem) = refused("{\"inputs\": 1}");
        assert_eq!(status, 422);
        assert!(problem["message"].as_str().unwrap().contains("unknown field `inputs`"), "{problem}");
        let (status, problem) = refused("{\"input\": {\"n\": [1, 123456789012345678901234567890]}}");
        assert_eq!((status, &problem["path"]), (422, &"input.n[1]".into()), "digits are not lost in silence");
        assert_eq!(refused("{} {}").0, 400);
        assert_eq!(refused("{\"input\": 1").0, 400);
    }

    #[test]
    fn versions_travel_as_tags() {
        for (tag, version) in [("\"3\"", Some(3)), ("W/\"12\"", Some(12)), ("3", None), ("\"x\"", None)] {
            assert_eq!(version_of(tag), version, "{tag}");
        }
        assert_eq!(version_of(&etag(7)), Some(7));
    }
}
