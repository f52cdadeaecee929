//! The server's health check and its API description.

use crate::router::Route;
use axum::{
    Json,
    http::header::CONTENT_TYPE,
    response::{IntoResponse, Response},
};
use domain::template::shipped;
use serde_json::{Value, json};

const HEALTH: &str = "/health";
const DESCRIPTION: &str = "/api/v1/openapi.json";
const TEMPLATE_SCHEMA: &str = "/api/v1/schema/template.v1.json";
/// These routes reveal nothing about the installation: clients read them before they have a token.
pub const OPEN: [&str; 3] = [HEALTH, DESCRIPTION, TEMPLATE_SCHEMA];
const OPENAPI: &str = include_str!("../../openapi.json");

pub fn routes() -> Vec<Route> {
    vec![
        Route::get(HEALTH, health),
        Route::get(DESCRIPTION, openapi),
        Route::get(TEMPLATE_SCHEMA, template_schema),
    ]
}

/// Reports only that the server responds.
async fn health() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

async fn openapi() -> Response {
    ([(CONTENT_TYPE, "application/json")], OPENAPI).into_response()
}

async fn template_schema() -> Response {
    ([(CONTENT_TYPE, "application/schema+json")], shipped::DOCUMENT_SCHEMA).into_response()
}
