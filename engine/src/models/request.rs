//! What is asked of a model.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One request for an answer, the same for every provider. It is stored as the text of the prompt event, so that what
/// was sent can be read later word by word.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelRequest {
    /// The name that the provider knows, without the provider's key before it.
    pub model: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// The conversation; providers want it to end with the user.
    // Stored prompts have it under this name.
    #[serde(rename = "turns", alias = "messages")]
    pub messages: Vec<ChatMessage>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Upper bound of the answer's length in tokens; by default the provider's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// The JSON Schema that the answer has to meet, for the provider's structured mode where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Value>,
}

impl ModelRequest {
    /// A question to a model, with nothing else said.
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

/// Who speaks. A system prompt is no message of the conversation; see [`ModelRequest::system`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MessageAuthor {
    User,
    Assistant,
}
