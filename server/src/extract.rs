//! What routes take from a request, each with a refusal that says where and what.

use crate::problem::{ProblemDetails, Result};
use axum::{
    body,
    extract::{FromRequest, FromRequestParts, Request},
    http::{
        HeaderMap, StatusCode,
        header::{ACCEPT, CONTENT_TYPE, IF_MATCH, IF_NONE_MATCH},
        request::Parts,
    },
};
use domain::{problem::Problem, view::User};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Who asks. The guard has found them before a route is reached.
pub struct Caller(pub User);

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = ProblemDetails;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        let user = parts.extensions.get::<User>().cloned();
        user.map(Self).ok_or_else(|| ProblemDetails::unauthenticated("sign in, or send a token"))
    }
}

/// The parameters of a path. What is no key or number names nothing, so it is not found.
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

/// A JSON body. An empty one counts as `{}`, so that nothing need be sent where nothing is required.
pub struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = ProblemDetails;

    async fn from_request(request: Request, _: &S) -> Result<Self> {
        let kind = content_type(request.headers());
        let bytes = bytes(request).await?;
        if bytes.is_empty() && kind.is_none() {
            return parse_json(b"{}").map(Self);
        }
        match kind.as_deref() {
            Some("application/json") => parse_json(&bytes).map(Self),
            Some(kind) if kind.ends_with("+json") => parse_json(&bytes).map(Self),
            kind => Err(unsupported(kind, "application/json")),
        }
    }
}

/// Parses JSON, or says at which field, line and column it is not what it should be: 400 for what is no JSON, 422 for
/// what does not fit.
pub fn parse_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let parsed = serde_path_to_error::deserialize(&mut deserializer)
        .map_err(|error| (place(error.path()), error.into_inner()))
        .and_then(|parsed| deserializer.end().map(|()| parsed).map_err(|error| (String::new(), error)));
    parsed.map_err(|(path, error)| {
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
    })
}

/// A body that may leave out the key that its address holds, and may not hold another one.
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

/// The whole body; the layers before have bounded it.
pub async fn bytes(request: Request) -> Result<body::Bytes> {
    body::to_bytes(request.into_body(), usize::MAX)
        .await
        .map_err(|_| ProblemDetails::bad_request("the body broke off before its end"))
}

/// The body's type in lower case, without its parameters.
pub fn content_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

pub fn unsupported(given: Option<&str>, taken: &str) -> ProblemDetails {
    let given = given.map_or_else(|| "without a Content-Type".to_owned(), |kind| format!("as {kind}"));
    ProblemDetails::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported-media-type",
        format!("the body came {given}; send {taken}"),
    )
}

/// Whether the one who asks wants `kind`, by name.
pub fn accepts(headers: &HeaderMap, kind: &str) -> bool {
    let mut values = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    values.any(|value| value.split(',').any(|part| part.split(';').next().unwrap_or_default().trim() == kind))
}

/// The version that an editor saw: `If-Match: "3"`. None when any will do.
pub struct IfMatch(pub Option<u32>);

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = ProblemDetails;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        let Some(value) = parts.headers.get(IF_MATCH) else { return Ok(Self(None)) };
        let text = value.to_str().unwrap_or_default().trim();
        if text == "*" {
            return Ok(Self(None));
        }
        let version = version_of(text);
        let refused = || ProblemDetails::bad_request("If-Match wants the ETag of a version, such as \"3\"");
        version.map(|version| Self(Some(version))).ok_or_else(refused)
    }
}

/// Whether the one who asks has this version already.
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
