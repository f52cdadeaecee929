//! What a client asked for, whichever protocol it spoke.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::shape::Shape;

/// One turn of the conversation, its text parts joined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// As on the wire: `user`, `assistant`, `system`, or Gemini's `model`.
    pub role: String,
    pub content: String,
}

/// A request for an answer, taken apart.
#[derive(Debug)]
pub(crate) struct Request {
    pub shape: Shape,
    pub model: String,
    /// All system texts, joined by empty lines.
    pub system: Option<String>,
    /// The turns, without the system texts.
    pub messages: Vec<Message>,
    pub stream: bool,
    /// What form the answer must have: a JSON Schema, or the word `json`.
    pub format: Option<Value>,
    /// OpenAI sends token usage in a stream only when asked.
    pub usage_in_stream: bool,
}

/// Where each protocol says what form the answer must have.
const FORMATS: [&str; 4] = [
    "/response_format/json_schema/schema",
    "/output_config/format/schema",
    "/generationConfig/responseJsonSchema",
    "/format",
];

/// Read apart from the rest, because few requests have one.
pub(crate) fn format_of(body: &[u8]) -> Option<Value> {
    let text =
        std::str::from_utf8(body).ok().filter(|text| text.contains("format") || text.contains("Schema"))?;
    let body: Value = serde_json::from_str(text).ok()?;
    FORMATS.iter().find_map(|place| body.pointer(place)).cloned()
}

impl Request {
    pub fn last_user(&self) -> &str {
        self.messages.iter().rev().find(|m| m.role == "user").map_or("", |m| &m.content)
    }

    /// Moves the messages that are system texts to where they belong.
    pub fn set_messages(&mut self, messages: impl IntoIterator<Item = Message>) {
        for message in messages {
            if matches!(message.role.as_str(), "system" | "developer") {
                self.add_system(message.content);
            } else {
                self.messages.push(message);
            }
        }
    }

    pub fn add_system(&mut self, text: String) {
        match &mut self.system {
            Some(system) => {
                system.push_str("\n\n");
                system.push_str(&text);
            }
            None => self.system = Some(text),
        }
    }
}

/// A text, or a list of parts of which some are text.
#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum Content {
    Text(String),
    Parts(Vec<Part>),
    Nothing(()),
}

/// One part of a message; what is not text counts as nothing.
#[derive(Deserialize)]
pub(crate) struct Part {
    #[serde(default)]
    pub text: String,
}

impl Content {
    pub fn into_text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Parts(parts) => join(parts),
            Self::Nothing(()) => String::new(),
        }
    }
}

/// The texts of all parts, one after the other.
pub(crate) fn join(parts: Vec<Part>) -> String {
    parts.into_iter().map(|part| part.text).collect()
}
