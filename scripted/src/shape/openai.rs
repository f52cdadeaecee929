//! OpenAI's chat completions, as everything "compatible" speaks them.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Shape, quoted, read};
use crate::answer::Answer;
use crate::deliver::Wire;
use crate::request::{Content, Message, Request};

/// Its words for stop, length and filter.
const WORDS: [&str; 3] = ["stop", "length", "content_filter"];

#[derive(Deserialize)]
struct Body {
    model: String,
    messages: Vec<Turn>,
    #[serde(default)]
    stream: bool,
    #[serde(default)]
    stream_options: StreamOptions,
}

#[derive(Deserialize)]
struct Turn {
    role: String,
    content: Option<Content>,
}

#[derive(Default, Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: bool,
}

pub(super) fn parse(body: &[u8]) -> Result<Request, String> {
    let body: Body = read(body)?;
    let mut request = Request {
        shape: Shape::OpenAi,
        model: body.model,
        system: None,
        messages: Vec::with_capacity(body.messages.len()),
        stream: body.stream,
        usage_in_stream: body.stream_options.include_usage,
        format: None,
    };
    request.set_messages(body.messages.into_iter().map(|turn| Message {
        role: turn.role,
        content: turn.content.map(Content::into_text).unwrap_or_default(),
    }));
    Ok(request)
}

pub(super) fn stream(number: u64, request: &Request, answer: &Answer) -> Wire {
    let model = quoted(&request.model);
    let chunk = |rest: &str| {
        format!(
            "data: {{\"id\":\"chatcmpl-{number}\",\"object\":\"chat.completion.chunk\",\"created\":0,\
             \"model\":{model},{rest}}}\n\n"
        )
    };
    let choice = |delta: &str, finish: &str| {
        chunk(&format!("\"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":{finish}}}]"))
    };
    let head = choice(r#"{"role":"assistant","content":""}"#, "null");
    let pieces = answer
        .pieces
        .iter()
        .map(|piece| choice(&format!("{{\"content\":{}}}", quoted(piece)), "null"))
        .collect();
    let delta = json!({ "refusal": answer.finish_message });
    let delta = if answer.finish_message.is_some() { delta.to_string() } else { "{}".to_owned() };
    let mut tail = choice(&delta, &json!(answer.finish.word(WORDS)).to_string());
    if request.usage_in_stream {
        tail.push_str(&chunk(&format!("\"choices\":[],\"usage\":{}", usage(answer))));
    }
    if answer.end_mark {
        tail.push_str("data: [DONE]\n\n");
    }
    Wire { head, pieces, tail }
}

pub(super) fn whole(number: u64, request: &Request, answer: &Answer) -> Value {
    json!({
        "id": format!("chatcmpl-{number}"),
        "object": "chat.completion",
        "created": 0,
        "model": request.model,
        "choices": [{
            "index": 0,
            "message": {"role": "assistant", "content": answer.text()},
            "finish_reason": answer.finish.word(WORDS),
        }],
        "usage": usage(answer),
    })
}

fn usage(answer: &Answer) -> Value {
    let usage = answer.usage;
    json!({
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
    })
}

pub(super) fn error(status: u16, message: &str) -> Value {
    let kind = match status {
        401 => "authentication_error",
        429 => "rate_limit_error",
        400..500 => "invalid_request_error",
        _ => "server_error",
    };
    json!({"error": {"message": message, "type": kind, "param": null, "code": null}})
}

pub(super) fn model_list(names: &[String]) -> Value {
    let data: Vec<Value> = names
        .iter()
        .map(|name| json!({"id": name, "object": "model", "created": 0, "owned_by": "scripted"}))
        .collect();
    json!({"object": "list", "data": data})
}
