//! Providers of models. A key goes in and never comes out.

use super::{Items, json};
use crate::{
    AppState,
    extract::{Caller, Json, Path, with_key},
    problem::Result,
    router::Route,
};
use axum::{
    extract::State,
    http::{StatusCode, header::LOCATION},
    response::{IntoResponse, Response},
};
use domain::{key::ProviderKey, view::ProviderStatus};
use engine::ProviderDraft;
use serde_json::Value;

const ALL: &str = "/api/v1/providers";
const ONE: &str = "/api/v1/providers/{provider}";

pub fn routes() -> Vec<Route> {
    vec![
        Route::get(ALL, list),
        Route::post(ALL, create),
        Route::get(ONE, show),
        Route::put(ONE, update),
        Route::delete(ONE, delete),
        Route::get("/api/v1/providers/{provider}/status", status),
    ]
}

async fn list(State(state): State<AppState>, Caller(user): Caller) -> Result<Response> {
    let providers = state.engine.providers(&user).await?;
    Ok(json(StatusCode::OK, Items::whole(providers)))
}

async fn create(
    State(state): State<AppState>,
    Caller(user): Caller,
    Json(draft): Json<ProviderDraft>,
) -> Result<Response> {
    let provider = state.engine.create_provider(&user, draft).await?;
    let location = format!("{ALL}/{}", provider.key);
    Ok(([(LOCATION, location)], json(StatusCode::CREATED, provider)).into_response())
}

async fn show(
    State(state): State<AppState>,
    Path(key): Path<ProviderKey>,
    Caller(user): Caller,
) -> Result<Response> {
    let providers = state.engine.providers(&user).await?;
    let found = providers.into_iter().find(|provider| provider.key == key);
    let provider = found.ok_or_else(|| engine::Error::not_found("provider", &key))?;
    Ok(json(StatusCode::OK, provider))
}

async fn update(
    State(state): State<AppState>,
    Path(key): Path<ProviderKey>,
    Caller(user): Caller,
    Json(body): Json<Value>,
) -> Result<Response> {
    let draft: ProviderDraft = with_key(body, key.as_str())?;
    let provider = state.engine.update_provider(&user, &key, draft).await?;
    Ok(json(StatusCode::OK, provider))
}

async fn delete(
    State(state): State<AppState>,
    Path(key): Path<ProviderKey>,
    Caller(user): Caller,
) -> Result<StatusCode> {
    state.engine.delete_provider(&user, &key).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Asks the provider now.
async fn status(
    State(state): State<AppState>,
    Path(key): Path<ProviderKey>,
    Caller(user): Caller,
) -> Result<axum::Json<ProviderStatus>> {
    Ok(axum::Json(state.engine.provider_status(&user, &key).await?))
}
