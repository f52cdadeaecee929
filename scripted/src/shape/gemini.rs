//! Gemini's generateContent. The model and whether to stream stand in the path.

use axum::http::Uri;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Shape, quoted, read};
use crate::answer::Answer;
use crate::deliver::Wire;
use crate::request::{Message, Part, Request, join};

/// Its words for stop, length and filter.
const WORDS: [&str; 3] = ["STOP", "MAX_TOKENS", "SAFETY"];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    contents: Vec<Turn>,
    system_instruction: Option<Turn>,
}

#[derive(Deserialize)]
struct Turn {
    #[serde(default)]
    role: String,
    #[serde(default)]
    parts: Vec<Part>,
}

pub(super) fn parse(uri: &Uri, body: &[u8]) -> Result<Request, String> {
    let call = uri.path().rsplit('/').next().unwrap_or_default();
    let (model, method) = call.split_once(':').ok_or("the path does not end in MODEL:METHOD")?;
    let stream = match method {
        "streamGenerateContent" => true,
        "generateContent" => false,
        other => return Err(format!("unknown method {other}")),
    };
    let body: Body = read(body)?;
    let mut request = Request {
        shape: Shape::Gemini,
        model: model.to_owned(),
        system: body.system_instruction.map(|turn| join(turn.parts)),
        messages: Vec::with_capacity(body.contents.len()),
        stream,
        usage_in_stream: true,
        format: None,
    };
    request.set_messages(
        body.contents.into_iter().map(|turn| Message { role: turn.role, content: join(turn.parts) }),
    );
    Ok(request)
}

pub(super) fn stream(request: &Request, answer: &Answer) -> Wire {
    let model = quoted(&request.model);
    let pieces = answer
        .pieces
        .iter()
        .map(|piece| {
            format!(
                "data: {{\"candidates\":[{{\"content\":{{\"parts\":[{{\"text\":{}}}],\"role\":\"model\"}},\
                 \"index\":0}}],\"modelVersion\":{model}}}\n\n",
                quoted(piece),
            )
        })
        .collect();
    Wire { head: String::new(), pieces, tail: format!("data: {}\n\n", document(request, answer, "")) }
}

pub(super) fn whole(request: &Request, answer: &Answer) -> Value {
    document(request, answer, &answer.text())
}

/// The last document of a stream, or the only one.
fn document(request: &Request, answer: &Answer, text: &str) -> Value {
    let usage = answer.usage;
    let mut candidate = json!({"content": {"parts": [{"text": text}], "role": "model"}, "index": 0});
    if let Some(word) = answer.finish.word(WORDS) {
        candidate["finishReason"] = json!(word);
    }
    if let Some(message) = &answer.finish_message {
        candidate["finishMessage"] = json!(message);
    }
    json!({
        "candidates": [candidate],
        "usageMetadata": {
            "promptTokenCount": usage.input_tokens,
            "candidatesTokenCount": usage.output_tokens,
            "totalTokenCount": usage.input_tokens + usage.output_tokens,
        },
        "modelVersion": request.model,
    })
}

pub(super) fn error(status: u16, message: &str) -> Value {
    let word = match status {
        400 => "INVALID_ARGUMENT",
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        429 => "RESOURCE_EXHAUSTED",
        503 => "UNAVAILABLE",
        _ => "INTERNAL",
    };
    json!({"error": {"code": status, "message": message, "status": word}})
}

pub(super) fn model_list(names: &[String]) -> Value {
    let models: Vec<Value> = names
        .iter()
        .map(|name| {
            json!({
                "name": format!("models/{name}"),
                "displayName": name,
                "supportedGenerationMethods": ["generateContent"],
            })
        })
        .collect();
    json!({"models": models})
}
