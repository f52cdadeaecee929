//! The request to a model.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One request for an answer, the same for every provider. It is stored as the text of the prompt event, so that the
/// exact request can be read later.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelRequest {
    /// The name that the provider knows, without the provider's key as prefix.
    pub model: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// The conversation; providers expect it to end with a user message.
    // Stored prompts use the name `turns`.
    #[serde(rename = "turns", alias = "messages")]
    pub messages: Vec<ChatMessage>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Upper bound of the answer's length in tokens; by default the provider's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// The JSON Schema for the answer, for the provider's structured mode if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Value>,
}

impl ModelRequest {
    /// A request with a question only.
    pub fn new(model: impl Into<String>, question: impl Into<String>) -> Self {
        Self {
            model: model.into(),
            system: None,
            messages: vec![ChatMessage::user(question)],
            temperature: None,
            max_tokens: None,
            schema: None,
        }
    }
}

impl ModelRequest {
    /// Bytes of its texts.
    pub fn bytes(&self) -> usize {
        let system = self.system.as_ref().map_or(0, String::len);
        system + self.messages.iter().map(|message| message.text.len()).sum::<usize>()
    }
}

/// One message of the conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatMessage {
    pub author: MessageAuthor,
    pub text: String,
}

impl ChatMessage {
    pub fn user(text: impl Into<String>) -> Self {
        Self { author: MessageAuthor::User, text: text.into() }
    }

    pub fn assistant(text: impl Into<String>) -> Self {
        Self { author: MessageAuthor::Assistant, text: text.into() }
    }
}

/// The author of a message. A system prompt is not a message of the conversation; see [`ModelRequest::system`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MessageAuthor {
    User,
    Assistant,
}
