//! Ollama's own API: one JSON document per line.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Shape, quoted, read};
use crate::answer::Answer;
use crate::deliver::Wire;
use crate::request::{Message, Request};

/// Its words for stop and length. Ollama has no filter, and so no word for it; a client must cope with an unknown one.
const WORDS: [&str; 3] = ["stop", "length", "content_filter"];

/// The time of everything: a script has no use for another.
const CREATED: &str = "2026-01-01T00:00:00Z";

#[derive(Deserialize)]
struct Body {
    model: String,
    messages: Vec<Turn>,
    /// Ollama streams unless told otherwise.
    #[serde(default = "yes")]
    stream: bool,
}

#[derive(Deserialize)]
struct Turn {
    role: String,
    #[serde(default)]
    content: String,
}

fn yes() -> bool {
    true
}

pub(super) fn parse(body: &[u8]) -> Result<Request, String> {
    let body: Body = read(body)?;
    let mut request = Request {
        shape: Shape::Ollama,
        model: body.model,
        system: None,
        messages: Vec::with_capacity(body.messages.len()),
        stream: body.stream,
        usage_in_stream: true,
        format: None,
    };
    request.set_messages(
        body.messages.into_iter().map(|turn| Message { role: turn.role, content: turn.content }),
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
                "{{\"model\":{model},\"created_at\":\"{CREATED}\",\
                 \"message\":{{\"role\":\"assistant\",\"content\":{}}},\"done\":false}}\n",
                quoted(piece),
            )
        })
        .collect();
    Wire { head: String::new(), pieces, tail: format!("{}\n", document(request, answer, "")) }
}

pub(super) fn whole(request: &Request, answer: &Answer) -> Value {
    document(request, answer, &answer.text())
}

/// The last document of a stream, or the only one.
fn document(request: &Request, answer: &Answer, text: &str) -> Value {
    let mut document = json!({
        "model": request.model,
        "created_at": CREATED,
        "message": {"role": "assistant", "content": text},
        "done": answer.end_mark,
        "prompt_eval_count": answer.usage.input_tokens,
        "eval_count": answer.usage.output_tokens,
    });
    if let Some(word) = answer.finish.word(WORDS) {
        document["done_reason"] = json!(word);
    }
    document
}

pub(super) fn error(message: &str) -> Value {
    json!({"error": message})
}

pub(super) fn model_list(names: &[String]) -> Value {
    let models: Vec<Value> = names
        .iter()
        .map(|name| json!({"name": name, "model": name, "modified_at": CREATED, "size": 0}))
        .collect();
    json!({"models": models})
}
