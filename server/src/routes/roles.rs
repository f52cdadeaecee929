//! Roles. The ETag of a role is its version.

use super::{From, Items, json};
use crate::{
    AppState,
    extract::{Body, Caller, Path, Query, behind, etag, has_version, if_match, with_key},
    problem::{ProblemDetails, Result},
    rest,
    router::Route,
};
use axum::{
    extract::State,
    http::{
        HeaderMap, StatusCode,
        header::{ETAG, LOCATION},
    },
    response::{IntoResponse, Response},
};
use domain::{
    access::Permission,
    key::{ProjectKey, RoleKey},
    view::{Role, RoleDraft},
};

const ALL: &str = "/api/v1/projects/{project}/roles";
const ONE: &str = "/api/v1/projects/{project}/roles/{role}";

pub fn routes() -> Vec<Route> {
    vec![
        Route::get(ALL, list),
        Route::post(ALL, create),
        Route::get(ONE, show),
        Route::put(ONE, update),
        Route::delete(ONE, delete),
    ]
}

async fn list(
    State(state): State<AppState>,
    Path(project): Path<ProjectKey>,
    Query(from): Query<From>,
    Caller(user): Caller,
) -> Result<Response> {
    let page = state.engine.roles(&user, &project, from.cursor.as_deref()).await?;
    Ok(json(StatusCode::OK, Items::of(page, rest::Role::from)))
}

async fn create(
    State(state): State<AppState>,
    Path(project): Path<ProjectKey>,
    Caller(user): Caller,
    body: Body,
) -> Result<Response> {
    let gate = state.engine.permits(&user, &project, Permission::Editor);
    let draft: RoleDraft = behind(gate, body.json()).await?;
    let role = state.engine.create_role(&user, &project, draft).await?;
    let location = format!("/api/v1/projects/{project}/roles/{}", role.key);
    Ok(([(LOCATION, location)], tagged(StatusCode::CREATED, role)).into_response())
}

async fn show(
    State(state): State<AppState>,
    Path((project, key)): Path<(ProjectKey, RoleKey)>,
    Caller(user): Caller,
    headers: HeaderMap,
) -> Result<Response> {
    let role = state.engine.role(&user, &project, &key).await?;
    if has_version(&headers, role.version) {
        return Ok((StatusCode::NOT_MODIFIED, [(ETAG, etag(role.version))]).into_response());
    }
    Ok(tagged(StatusCode::OK, role))
}

async fn update(
    State(state): State<AppState>,
    Path((project, key)): Path<(ProjectKey, RoleKey)>,
    Caller(user): Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Response> {
    let gate = async {
        state.engine.permits(&user, &project, Permission::Editor).await?;
        state.engine.role(&user, &project, &key).await.map(drop)
    };
    let sent = if_match(&headers)
        .and_then(|based_on| Ok((based_on, with_key::<RoleDraft>(body.json()?, key.as_str())?)));
    let (based_on, draft) = behind(gate, sent).await?;
    let saved = state.engine.update_role(&user, &project, &key, draft, based_on).await;
    let role = saved.map_err(|error| ProblemDetails::from(error).of_precondition(based_on.is_some()))?;
    Ok(tagged(StatusCode::OK, role))
}

async fn delete(
    State(state): State<AppState>,
    Path((project, key)): Path<(ProjectKey, RoleKey)>,
    Caller(user): Caller,
) -> Result<StatusCode> {
    state.engine.delete_role(&user, &project, &key).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn tagged(status: StatusCode, role: Role) -> Response {
    ([(ETAG, etag(role.version))], json(status, rest::Role::from(role))).into_response()
}
