//! Providers of models. Keys are write-only.

use super::{Items, json};
use crate::{
    AppState,
    extract::{Body, Caller, Path, behind, with_key},
    problem::Result,
    router::Route,
};
use axum::{
    extract::State,
    http::{StatusCode, header::LOCATION},
    response::{IntoResponse, Response},
};
use domain::{
    key::ProviderKey,
    view::{Provider, ProviderStatus, User},
};
use engine::ProviderDraft;

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

async fn create(State(state): State<AppState>, Caller(user): Caller, body: Body) -> Result<Response> {
    let gate = async { state.engine.permits_installation(&user) };
    let draft: ProviderDraft = behind(gate, body.json()).await?;
    let provider = state.engine.create_provider(&user, draft).await?;
    let location = format!("{ALL}/{}", provider.key);
    Ok(([(LOCATION, location)], json(StatusCode::CREATED, provider)).into_response())
}

async fn show(
    State(state): State<AppState>,
    Path(key): Path<ProviderKey>,
    Caller(user): Caller,
) -> Result<Response> {
    Ok(json(StatusCode::OK, provider(&state, &user, &key).await?))
}

async fn provider(state: &AppState, user: &User, key: &ProviderKey) -> engine::Result<Provider> {
    let providers = state.engine.providers(user).await?;
    let found = providers.into_iter().find(|provider| provider.key == *key);
    found.ok_or_else(|| engine::Error::not_found("provider", key))
}

async fn update(
    State(state): State<AppState>,
    Path(key): Path<ProviderKey>,
    Caller(user): Caller,
    body: Body,
) -> Result<Response> {
    let gate = async {
        state.engine.permits_installation(&user)?;
        provider(&state, &user, &key).await.map(drop)
    };
    let sent = body.json().and_then(|draft| with_key(draft, key.as_str()));
    let draft: ProviderDraft = behind(gate, sent).await?;
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

/// Requests the status from the provider now.
async fn status(
    State(state): State<AppState>,
    Path(key): Path<ProviderKey>,
    Caller(user): Caller,
) -> Result<axum::Json<ProviderStatus>> {
    Ok(axum::Json(state.engine.provider_status(&user, &key).await?))
}
