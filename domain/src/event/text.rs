//! Texts that events refer to: prompts, outputs, files.

use crate::id::ContentId;
use serde::{Deserialize, Serialize};

/// Reference to a stored text, with its length and its beginning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TextRef {
    #[serde(rename = "ref")]
    pub id: ContentId,
    /// Length in UTF-8 bytes.
    pub bytes: u64,
    /// The first [`TextRef::HEAD`] bytes or less, cut at a character.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub head: String,
    /// Whether the text is the JSON of a value; otherwise it is plain text.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub json: bool,
}

impl TextRef {
    /// Maximum size of `head`, in bytes: enough for a line in a list.
    pub const HEAD: usize = 240;

    pub fn new(id: ContentId, text: &str) -> Self {
        Self { id, bytes: text.len() as u64, head: head(text, Self::HEAD).to_owned(), json: false }
    }

    pub fn of_json(id: ContentId, text: &str) -> Self {
        Self { json: true, ..Self::new(id, text) }
    }
}

/// The longest prefix of `text` that has at most `limit` bytes.
pub fn head(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit)]
}
