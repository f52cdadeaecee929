//! Why a call to a model failed, for two audiences.
//!
//! The message is for readers of the run. The source is for the operator's log. Neither ever holds an API key or a URL
//! with credentials: both pass through a [`Redactor`] first.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use domain::error::ErrorClass;
use secrecy::{ExposeSecret, SecretString};

/// The most characters of a provider's text that a message repeats.
const LONGEST_QUOTE: usize = 300;

/// A failed call, or a failed answer.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct ModelError {
    pub class: ErrorClass,
    /// One sentence that a page may show.
    pub message: String,
    /// How long the provider asks to wait before the next call.
    pub retry_after: Option<Duration>,
    source: Option<Detail>,
}

impl ModelError {
    pub fn new(class: ErrorClass, message: impl Into<String>) -> Self {
        Self { class, message: message.into(), retry_after: None, source: None }
    }

    /// Whether the provider would have accepted the call at a slower pace: 429, or an overload with a time to wait.
    pub fn is_throttled(&self) -> bool {
        is_throttled(self.class, self.retry_after)
    }

    pub(super) fn with_retry_after(mut self, retry_after: Option<Duration>) -> Self {
        self.retry_after = retry_after;
        self
    }

    /// Keeps the original error's text for the log, without secrets.
    pub(super) fn with_source(mut self, error: &dyn fmt::Display, redactor: &Redactor) -> Self {
        self.source = Some(Detail(redactor.clean(&error.to_string()).into()));
        self
    }
}

/// Whether a failure of this class, with this time to wait, means that calls are too frequent.
pub fn is_throttled(class: ErrorClass, retry_after: Option<Duration>) -> bool {
    match class {
        ErrorClass::RateLimit => true,
        ErrorClass::Overload => retry_after.is_some(),
        _ => false,
    }
}

/// The text of the underlying error. The error itself is not kept: its `Debug` form may hold a URL with a key.
#[derive(Clone, Debug)]
struct Detail(Arc<str>);

impl fmt::Display for Detail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Detail {}

/// Removes a key from external texts. Providers repeat keys in their errors, completely or in part.
#[derive(Clone, Default)]
pub(super) struct Redactor {
    key: Option<SecretString>,
}

impl Redactor {
    pub fn new(key: Option<SecretString>) -> Self {
        Self { key: key.filter(|key| !key.expose_secret().is_empty()) }
    }

    /// The text without the key, and without words that begin like it (`sk-abcd****wxyz`).
    pub fn clean(&self, text: &str) -> String {
        /// This many characters of a key reveal it, or help to guess it.
        const TELLING: usize = 6;
        let Some(key) = &self.key else { return text.to_owned() };
        let key = key.expose_secret();
        let text = text.replace(key, "[key]");
        let Some(beginning) = key.get(..TELLING).filter(|_| key.len() > TELLING) else { return text };
        let mut clean = String::with_capacity(text.len());
        let mut rest = text.as_str();
        while let Some(start) = rest.find(beginning) {
            clean.push_str(&rest[..start]);
            clean.push_str("[key]");
            rest = &rest[start..];
            let end = rest.find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ',' | '}' | ')'));
            rest = &rest[end.unwrap_or(rest.len())..];
        }
        clean.push_str(rest);
        clean
    }

    /// The text in a form that a page may show: redacted, on one line, short.
    pub fn quote(&self, text: &str) -> String {
        let line = self.clean(text).split_whitespace().collect::<Vec<_>>().join(" ");
        match line.char_indices().nth(LONGEST_QUOTE) {
            Some((end, _)) => format!("{}…", &line[..end]),
            None => line,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_taken_out_whole_and_in_part() {
        let redactor = Redactor::new(Some("sk-secret-0123456789".into()));
        for (text, clean) in [
            ("nothing to hide", "nothing to hide"),
            ("bad key sk-secret-0123456789.", "bad key [key]."),
            (r#"{"m":"Incorrect key: sk-sec****6789"}"#, r#"{"m":"Incorrect key: [key]"}"#),
            ("at http://h/?key=sk-secret-0123456789&x=1", "at http://h/?key=[key]&x=1"),
        ] {
            assert_eq!(redactor.clean(text), clean);
        }
    }

    #[test]
    fn quotes_are_one_short_line() {
        let redactor = Redactor::default();
        assert_eq!(redactor.quote("a\n  b"), "a b");
        assert_eq!(redactor.quote(&"x".repeat(1000)).chars().count(), LONGEST_QUOTE + 1);
    }
}
