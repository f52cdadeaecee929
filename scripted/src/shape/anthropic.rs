//! Anthropic's messages.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Shape, quoted, read};
use crate::answer::Answer;
use crate::deliver::Wire;
use crate::request::{Content, Message, Request};

/// Its words for stop, length and filter.
const WORDS: [&str; 3] = ["end_turn", "max_tokens", "refusal"];

#[derive(Deserialize)]
struct Body {
    model: String,
    system: Option<Content>,
    messages: Vec<Turn>,
    #[serde(default)]
    stream: bool,
}

#[derive(Deserialize)]
struct Turn {
    role: String,
    content: Content,
}

pub(super) fn parse(body: &[u8]) -> Result<Request, String> {
    let body: Body = read(body)?;
    let mut request = Request {
        shape: Shape::Anthropic,
        model: body.model,
        system: body.system.map(Content::into_text),
        messages: Vec::with_capacity(body.messages.len()),
        stream: body.stream,
        usage_in_stream: true,
        format: None,
    };
    request.set_messages(
        body.messages.into_iter().map(|turn| Message { role: turn.role, content: turn.content.into_text() }),
    );
    Ok(request)
}

pub(super) fn stream(number: u64, request: &Request, answer: &Answer) -> Wire {
    let event = |name: &str, rest: &str| {
        let comma = if rest.is_empty() { "" } else { "," };
        format!("event: {name}\ndata: {{\"type\":\"{name}\"{comma}{rest}}}\n\n")
    };
    let usage = answer.usage;
    let mut head = event(
        "message_start",
        &format!(
            "\"message\":{{\"id\":\"msg_{number}\",\"type\":\"message\",\"role\":\"assistant\",\"model\":{},\
             \"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\
             \"usage\":{{\"input_tokens\":{},\"output_tokens\":1}}}}",
            quoted(&request.model),
            usage.input_tokens,
        ),
    );
    head.push_str(&event("content_block_start", r#""index":0,"content_block":{"type":"text","text":""}"#));
    head.push_str(&event("ping", ""));
    let pieces = answer
        .pieces
        .iter()
        .map(|piece| {
            let delta =
                format!("\"index\":0,\"delta\":{{\"type\":\"text_delta\",\"text\":{}}}", quoted(piece));
            event("content_block_delta", &delta)
        })
        .collect();
    let mut tail = event("content_block_stop", r#""index":0"#);
    tail.push_str(&event(
        "message_delta",
        &format!("\"delta\":{},\"usage\":{{\"output_tokens\":{}}}", stop(answer), usage.output_tokens,),
    ));
    if answer.end_mark {
        tail.push_str(&event("message_stop", ""));
    }
    Wire { head, pieces, tail }
}

pub(super) fn whole(number: u64, request: &Request, answer: &Answer) -> Value {
    json!({
        "id": format!("msg_{number}"),
        "type": "message",
        "role": "assistant",
        "model": request.model,
        "content": [{"type": "text", "text": answer.text()}],
        "stop_reason": answer.finish.word(WORDS),
        "stop_sequence": null,
        "usage": {"input_tokens": answer.usage.input_tokens, "output_tokens": answer.usage.output_tokens},
    })
}

/// The delta that says why the message ended.
fn stop(answer: &Answer) -> Value {
    let mut delta = json!({"stop_reason": answer.finish.word(WORDS), "stop_sequence": null});
    if let Some(message) = &answer.finish_message {
        delta["stop_details"] = json!({"type": "refusal", "explanation": message});
    }
    delta
}

pub(super) fn error(status: u16, message: &str) -> Value {
    let kind = match status {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        529 => "overloaded_error",
        400..500 => "invalid_request_error",
        _ => "api_error",
    };
    json!({"type": "error", "error": {"type": kind, "message": message}})
}

pub(super) fn model_list(names: &[String]) -> Value {
    let data: Vec<Value> = names
        .iter()
        .map(|name| {
            json!({"type": "model", "id": name, "display_name": name, "created_at": "2026-01-01T00:00:00Z"})
        })
        .collect();
    json!({"data": data, "has_more": false, "first_id": names.first(), "last_id": names.last()})
}
