//! The protocols. Each file below knows one: how its requests read, how its answers, streams and errors look.

use axum::http::Uri;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::answer::Answer;
use crate::deliver::{ErrorBody, Wire};
use crate::request::{Request, format_of};

mod anthropic;
mod gemini;
mod ollama;
mod openai;

/// A protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Shape {
    OpenAi,
    Anthropic,
    Gemini,
    Ollama,
}

impl Shape {
    /// Takes a request apart; an error says what is wrong with it.
    pub(crate) fn parse(self, uri: &Uri, body: &[u8]) -> Result<Request, String> {
        let request = match self {
            Self::OpenAi => openai::parse(body),
            Self::Anthropic => anthropic::parse(body),
            Self::Gemini => gemini::parse(uri, body),
            Self::Ollama => ollama::parse(body),
        };
        request.map(|request| Request { format: format_of(body), ..request })
    }

    /// The frames of a streamed answer.
    pub(crate) fn stream(self, number: u64, request: &Request, answer: &Answer) -> Wire {
        match self {
            Self::OpenAi => openai::stream(number, request, answer),
            Self::Anthropic => anthropic::stream(number, request, answer),
            Self::Gemini => gemini::stream(request, answer),
            Self::Ollama => ollama::stream(request, answer),
        }
    }

    /// The answer as one document.
    pub(crate) fn whole(self, number: u64, request: &Request, answer: &Answer) -> Value {
        match self {
            Self::OpenAi => openai::whole(number, request, answer),
            Self::Anthropic => anthropic::whole(number, request, answer),
            Self::Gemini => gemini::whole(request, answer),
            Self::Ollama => ollama::whole(request, answer),
        }
    }

    /// The body that goes with an HTTP error status.
    pub(crate) fn error(self, status: u16, message: &str) -> ErrorBody {
        ErrorBody(match self {
            Self::OpenAi => openai::error(status, message),
            Self::Anthropic => anthropic::error(status, message),
            Self::Gemini => gemini::error(status, message),
            Self::Ollama => ollama::error(message),
        })
    }

    /// An error in the middle of a stream.
    pub(crate) fn error_event(self, message: &str) -> String {
        match self {
            Self::OpenAi => format!("data: {}\n\n", openai::error(503, message)),
            Self::Anthropic => format!("event: error\ndata: {}\n\n", anthropic::error(529, message)),
            Self::Gemini => format!("data: {}\n\n", gemini::error(503, message)),
            Self::Ollama => format!("{}\n", ollama::error(message)),
        }
    }

    /// A frame whose content is not JSON.
    pub(crate) fn bad_json(self, stream: bool) -> String {
        const BROKEN: &str = r#"{"choices":[{"delta":{"content":"oh"#;
        match self {
            _ if !stream => BROKEN.to_owned(),
            Self::OpenAi | Self::Gemini => format!("data: {BROKEN}\n\n"),
            Self::Anthropic => format!("event: content_block_delta\ndata: {BROKEN}\n\n"),
            Self::Ollama => format!("{BROKEN}\n"),
        }
    }

    pub(crate) fn stream_type(self) -> &'static str {
        match self {
            Self::Ollama => "application/x-ndjson",
            Self::OpenAi | Self::Anthropic | Self::Gemini => "text/event-stream",
        }
    }

    pub(crate) fn model_list(self, names: &[String]) -> Value {
        match self {
            Self::OpenAi => openai::model_list(names),
            Self::Anthropic => anthropic::model_list(names),
            Self::Gemini => gemini::model_list(names),
            Self::Ollama => ollama::model_list(names),
        }
    }
}

/// A text as JSON, quotes included.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// Reads a body; the error is for the client.
fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|error| format!("cannot read the request: {error}"))
}
