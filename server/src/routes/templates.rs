//! Templates, and previews of launches. A template's ETag is its version.

use super::{From, Items, json};
use crate::{
    AppState,
    extract::{Body, Caller, Path, Query, accepts, behind, etag, has_version, if_match},
    problem::{ProblemDetails, Result},
    rest,
    router::Route,
};
use axum::{
    extract::State,
    http::{
        HeaderMap, StatusCode,
        header::{CONTENT_TYPE, ETAG, LOCATION},
    },
    response::{IntoResponse, Response},
};
use domain::{
    access::Permission,
    key::{ProjectKey, TemplateKey},
    view::TemplateDetail,
};
use engine::{Format, Launch};
use serde_json::json as object;

pub const ALL: &str = "/api/v1/projects/{project}/templates";
pub const ONE: &str = "/api/v1/projects/{project}/templates/{template}";

pub fn routes() -> Vec<Route> {
    vec![
        Route::get(ALL, list),
        Route::post(ALL, create),
        Route::get(ONE, show),
        Route::put(ONE, update),
        Route::delete(ONE, delete),
        Route::post("/api/v1/projects/{project}/templates/{template}/preview", preview),
    ]
}

async fn list(
    State(state): State<AppState>,
    Path(project): Path<ProjectKey>,
    Query(from): Query<From>,
    Caller(user): Caller,
) -> Result<Response> {
    let page = state.engine.templates(&user, &project, from.cursor.as_deref()).await?;
    Ok(json(StatusCode::OK, Items::of(page, rest::TemplateSummary::from)))
}

async fn create(
    State(state): State<AppState>,
    Path(project): Path<ProjectKey>,
    Caller(user): Caller,
    body: Body,
) -> Result<Response> {
    let gate = state.engine.permits(&user, &project, Permission::Editor);
    let (source, format) = behind(gate, document(body)).await?;
    let template = state.engine.create_template(&user, &project, &source, format).await?;
    let location = format!("/api/v1/projects/{project}/templates/{}", template.key);
    Ok(([(LOCATION, location)], stored(StatusCode::CREATED, &template)).into_response())
}

/// The newest version, or another one as `key@3`: as JSON, or as the author's YAML source.
async fn show(
    State(state): State<AppState>,
    Path((project, template)): Path<(ProjectKey, String)>,
    Caller(user): Caller,
    headers: HeaderMap,
) -> Result<Response> {
    let absent = || ProblemDetails::from(engine::Error::not_found("template", &template));
    let (key, version) = match template.split_once('@') {
        Some((key, version)) => (key, Some(version.parse().map_err(|_| absent())?)),
        None => (template.as_str(), None),
    };
    let key = TemplateKey::parse(key).map_err(|_| absent())?;
    let found = state.engine.template(&user, &project, &key, version).await?;
    let tag = [(ETAG, etag(found.version))];
    if has_version(&headers, found.version) {
        return Ok((StatusCode::NOT_MODIFIED, tag).into_response());
    }
    if YAML.iter().any(|kind| accepts(&headers, kind)) {
        return Ok((tag, [(CONTENT_TYPE, YAML[0])], found.source).into_response());
    }
    Ok((tag, json(StatusCode::OK, rest::TemplateDetail::from(found))).into_response())
}

async fn update(
    State(state): State<AppState>,
    Path((project, key)): Path<(ProjectKey, TemplateKey)>,
    Caller(user): Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Response> {
    let gate = state.engine.permits_template(&user, &project, &key, Permission::Editor);
    let sent = if_match(&headers).and_then(|based_on| Ok((based_on, document(body)?)));
    let (based_on, (source, format)) = behind(gate, sent).await?;
    let saved = state.engine.update_template(&user, &project, &key, &source, format, based_on).await;
    let template = saved.map_err(|error| ProblemDetails::from(error).of_precondition(based_on.is_some()))?;
    Ok(stored(StatusCode::OK, &template))
}

async fn delete(
    State(state): State<AppState>,
    Path((project, key)): Path<(ProjectKey, TemplateKey)>,
    Caller(user): Caller,
) -> Result<StatusCode> {
    state.engine.delete_template(&user, &project, &key).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Stores nothing and calls no model.
async fn preview(
    State(state): State<AppState>,
    Path((project, key)): Path<(ProjectKey, TemplateKey)>,
    Caller(user): Caller,
    body: Body,
) -> Result<axum::Json<rest::LaunchPreview>> {
    let gate = state.engine.permits_template(&user, &project, &key, Permission::Viewer);
    let launch: Launch = behind(gate, body.json()).await?;
    Ok(axum::Json(state.engine.preview(&user, &project, &key, &launch).await?.into()))
}

const YAML: [&str; 4] = ["application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml"];

/// The document and its format, by content type.
fn document(body: Body) -> Result<(String, Format)> {
    let format = match body.kind() {
        Some("application/json") => Format::Json,
        Some(kind) if YAML.contains(&kind) => Format::Yaml,
        _ => return Err(body.unsupported("a template as application/json or application/yaml")),
    };
    Ok((body.text("the document")?, format))
}

fn stored(status: StatusCode, template: &TemplateDetail) -> Response {
    let mut body = object!({ "key": template.key, "version": template.version });
    if !template.hints.is_empty() {
        body["hints"] = object!(template.hints);
    }
    ([(ETAG, etag(template.version))], json(status, body)).into_response()
}
