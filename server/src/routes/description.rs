//! What the server says about itself.

use crate::router::Route;
use axum::{
    Json,
    http::header::CONTENT_TYPE,
    response::{IntoResponse, Response},
};
use domain::template::shipped;
use serde_json::{Value, json};

pub const HEALTH: &str = "/health";
const OPENAPI: &str = include_str!("../../openapi.json");

pub fn routes() -> Vec<Route> {
    vec![
        Route::get(HEALTH, health),
        Route::get("/api/v1/openapi.json", openapi),
        Route::get("/api/v1/schema/template.v1.json", template_schema),
    ]
}

/// Open to everybody, and says nothing but that the server answers.
async fn health() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

async fn openapi() -> Response {
    ([(CONTENT_TYPE, "application/json")], OPENAPI).into_response()
}

async fn template_schema() -> Response {
    ([(CONTENT_TYPE, "application/schema+json")], shipped::DOCUMENT_SCHEMA).into_response()
}
