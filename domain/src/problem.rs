//! A problem in a user's document or input: its place, and how to fix it.

use serde::{Deserialize, Serialize};
use std::fmt;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// The path within the document or the input, e.g. `steps[2].inputMapping.code`; empty for the whole.
    pub path: String,
    /// From 1, if the source text is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// From 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    /// Message for users.
    pub message: String,
}

impl Problem {
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), line: None, column: None, message: message.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, self.path.as_str()) {
            (Some(line), "") => write!(f, "line {line}: {}", self.message),
            (Some(line), path) => write!(f, "line {line}, {path}: {}", self.message),
            (None, "") => f.write_str(&self.message),
            (None, path) => write!(f, "{path}: {}", self.message),
        }
    }
}

/// Writes `.key`, or `["a key"]` if the bare form would be ambiguous. Very long keys are shortened for display.
pub(crate) fn write_key(f: &mut impl fmt::Write, key: &str, first: bool) -> fmt::Result {
    let bare = !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-');
    let shown = shorten(key, 80);
    match (bare, first) {
        (true, true) => f.write_str(&shown),
        (true, false) => write!(f, ".{shown}"),
        (false, _) => write!(f, "[{shown:?}]"),
    }
}

/// The text, shortened to its first characters and an ellipsis if it is longer.
pub(crate) fn shorten(text: &str, characters: usize) -> String {
    match text.char_indices().nth(characters) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
