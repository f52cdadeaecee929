//! Paths: the protocols at their base URLs, and the door for whoever writes the script.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post, put};

use crate::answer::Answer;
use crate::deliver;
use crate::ledger::Entry;
use crate::script::{Fault, Rule, ScriptDocument};
use crate::server::Shared;
use crate::shape::Shape;

type Server = State<Arc<Shared>>;

pub(crate) fn router(shared: Arc<Shared>) -> Router {
    let openai = || post(|s: Server, uri: Uri, h: HeaderMap, b: Bytes| answer(s, Shape::OpenAi, uri, h, b));
    let anthropic =
        || post(|s: Server, uri: Uri, h: HeaderMap, b: Bytes| answer(s, Shape::Anthropic, uri, h, b));
    let ollama = || post(|s: Server, uri: Uri, h: HeaderMap, b: Bytes| answer(s, Shape::Ollama, uri, h, b));
    let gemini = || post(|s: Server, uri: Uri, h: HeaderMap, b: Bytes| answer(s, Shape::Gemini, uri, h, b));
    Router::new()
        .route("/v1/chat/completions", openai())
        .route("/openai/v1/chat/completions", openai())
        .route("/v1/messages", anthropic())
        .route("/anthropic/v1/messages", anthropic())
        .route("/api/chat", ollama())
        .route("/ollama/api/chat", ollama())
        .route("/gemini/v1beta/models/{call}", gemini())
        // OpenAI's and Anthropic's lists have the same fields where clients look.
        .route("/v1/models", get(|s: Server| models(s, Shape::OpenAi)))
        .route("/openai/v1/models", get(|s: Server| models(s, Shape::OpenAi)))
        .route("/anthropic/v1/models", get(|s: Server| models(s, Shape::Anthropic)))
        .route("/api/tags", get(|s: Server| models(s, Shape::Ollama)))
        .route("/ollama/api/tags", get(|s: Server| models(s, Shape::Ollama)))
        .route("/gemini/v1beta/models", get(|s: Server| models(s, Shape::Gemini)))
        .route("/script", put(set_script))
        .route("/ledger", get(ledger).delete(clear_ledger))
        .route("/release", post(release))
        .layer(DefaultBodyLimit::disable())
        .with_state(shared)
}

async fn answer(State(shared): Server, shape: Shape, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let request = match shape.parse(&uri, &body) {
        Ok(request) => request,
        Err(problem) => return (StatusCode::BAD_REQUEST, shape.error(400, &problem)).into_response(),
    };
    let rule = if shared.is_full() {
        Some((Rule::fault(Fault::status(429)), 1))
    } else {
        shared.next_rule(&request)
    };
    let answer = Answer::new(&request, rule);
    let number = shared.next_number();
    let releases = shared.releases();
    let wire = deliver::Plan::new(number, &request, answer);
    let slip = shared.ledger.enter(number, uri.path().to_owned(), api_key(&headers), request);
    deliver::send(wire, slip, releases).await
}

/// The key, from where each protocol puts it.
fn api_key(headers: &HeaderMap) -> Option<String> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    text("authorization")
        .map(|value| value.strip_prefix("Bearer ").unwrap_or(value))
        .or_else(|| text("x-api-key"))
        .or_else(|| text("x-goog-api-key"))
        .map(str::to_owned)
}

async fn models(State(shared): Server, shape: Shape) -> Response {
    Json(shape.model_list(&shared.models())).into_response()
}

async fn set_script(State(shared): Server, Json(document): Json<ScriptDocument>) -> StatusCode {
    shared.set_document(document);
    StatusCode::NO_CONTENT
}

async fn ledger(State(shared): Server) -> Json<Vec<Entry>> {
    Json(shared.ledger.entries())
}

async fn clear_ledger(State(shared): Server) -> StatusCode {
    shared.ledger.clear();
    StatusCode::NO_CONTENT
}

async fn release(State(shared): Server) -> StatusCode {
    shared.release();
    StatusCode::NO_CONTENT
}
