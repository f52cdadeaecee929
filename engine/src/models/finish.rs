//! The end of an answer: providers' finish reasons, and their meaning. No other file knows these words.
//!
//! | the provider sent | the answer |
//! |---|---|
//! | a word of [`DONE`] | is complete |
//! | a word of [`CUT`] | was cut off by a token limit; an error if there was no visible text before |
//! | a word of [`ABORTED`], or a refusal | failed, with the word and the provider's own sentence |
//! | a word of [`TOOLS`] | is a request for a tool call |
//! | another word | is complete, with a warning that names the word |
//! | no word, but the end mark of the stream (`[DONE]`, `message_stop`, `"done": true`) | is complete |
//! | neither | broke off |
//!
//! Words are compared without regard to case: Gemini and Cohere use upper case, and proxies translate them freely.

use std::fmt;

use domain::error::ErrorClass;

use super::error::{ModelError, Redactor};

/// The answer is complete.
const DONE: &[&str] = &[
    "stop",
    "end_turn",
    "stop_sequence",
    "stop_token",
    "eos",
    "eos_token",
    "endoftext",
    "complete",
    "completed",
    "finished",
];

/// A token limit (the request's, or the model's context) cut the answer off.
const CUT: &[&str] = &[
    "length",
    "max_tokens",
    "max_output_tokens",
    "max_length",
    "model_length",
    "token_limit",
    "error_limit",
    "incomplete",
    "model_context_window_exceeded",
];

/// The model asks for a tool call.
const TOOLS: &[&str] = &["tool_calls", "tool_call", "tool_use", "function_call"];

/// The provider gave up, or it or the model refused. The class decides whether another attempt may help.
const ABORTED: &[(&str, ErrorClass)] = &[
    // Filters and refusals.
    ("content_filter", ErrorClass::Refused),
    ("content_filtered", ErrorClass::Refused),
    ("guardrail_intervened", ErrorClass::Refused),
    ("refusal", ErrorClass::Refused),
    ("refused", ErrorClass::Refused),
    ("sensitive", ErrorClass::Refused),
    ("error_toxic", ErrorClass::Refused),
    ("safety", ErrorClass::Refused),
    ("recitation", ErrorClass::Refused),
    ("language", ErrorClass::Refused),
    ("blocklist", ErrorClass::Refused),
    ("prohibited_content", ErrorClass::Refused),
    ("spii", ErrorClass::Refused),
    ("model_armor", ErrorClass::Refused),
    ("image_safety", ErrorClass::Refused),
    ("image_recitation", ErrorClass::Refused),
    ("image_prohibited_content", ErrorClass::Refused),
    // The provider could not continue.
    ("insufficient_system_resource", ErrorClass::Overload),
    ("failed", ErrorClass::Overload),
    ("error", ErrorClass::Overload),
    ("network_error", ErrorClass::Overload),
    ("timeout", ErrorClass::Timeout),
    ("time_limit", ErrorClass::Timeout),
    // The answer stopped in the middle.
    ("abort", ErrorClass::Truncated),
    ("aborted", ErrorClass::Truncated),
    ("cancelled", ErrorClass::Truncated),
    ("canceled", ErrorClass::Truncated),
    ("user_cancel", ErrorClass::Truncated),
    ("interrupted", ErrorClass::Truncated),
    ("pause_turn", ErrorClass::Truncated),
    ("other", ErrorClass::Truncated),
    ("image_other", ErrorClass::Truncated),
    // The provider cannot parse the model's output.
    ("malformed_function_call", ErrorClass::InvalidOutput),
    ("malformed_tool_use", ErrorClass::InvalidOutput),
    ("malformed_model_output", ErrorClass::InvalidOutput),
    ("malformed_response", ErrorClass::InvalidOutput),
    ("unexpected_tool_call", ErrorClass::InvalidOutput),
    ("too_many_tool_calls", ErrorClass::InvalidOutput),
    ("missing_thought_signature", ErrorClass::InvalidOutput),
    ("no_image", ErrorClass::InvalidOutput),
];

/// Why a model stopped, where that is not a failure in itself. The caller decides whether it is good enough: a step
/// with a schema does not accept `Length`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FinishReason {
    /// The answer is complete.
    Stop,
    /// A token limit cut the answer off, after some visible text.
    Length,
    /// The model requests tool calls.
    ToolCalls,
    /// An unlisted word. The answer counts as complete, and a person sees the word as a warning.
    Unknown(String),
}

impl fmt::Display for FinishReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::ToolCalls => "tool calls",
            Self::Unknown(word) => word,
        })
    }
}

/// What the frames of an answer contain about its end.
#[derive(Clone, Debug, Default)]
pub(super) struct Ending {
    /// The provider's word, verbatim.
    pub word: Option<String>,
    /// The provider's explanation of the word.
    pub message: Option<String>,
    /// The model's refusal, or the reason why the prompt was blocked.
    pub refusal: Option<String>,
    /// The protocol's end mark of the stream.
    pub end_mark: bool,
}

impl Ending {
    /// The result of an answer with this end; `has_text`: whether it has visible text.
    ///
    /// # Errors
    /// The answer was aborted, refused or broke off, or is empty.
    pub fn judge(&self, has_text: bool, redactor: &Redactor) -> Result<FinishReason, ModelError> {
        let word = self.word.as_deref().map(|word| redactor.quote(word));
        let known = word.as_deref().map(Known::of);
        if let Some(refusal) = &self.refusal {
            let word = word.filter(|_| !matches!(known, Some(Known::Done)));
            return Err(refused(word.as_deref(), &redactor.quote(refusal)));
        }
        let reason = match known {
            Some(Known::Aborted(class)) => {
                let said = self.message.as_deref().map(|message| redactor.quote(message)).unwrap_or_default();
                return Err(aborted(class, &word.unwrap_or_default(), &said));
            }
            Some(Known::Cut) if !has_text => {
                return Err(ModelError::new(
                    ErrorClass::Truncated,
                    "Token limit used up by thinking: the model reached it before it said anything visible. Raise \
                     the role's max output tokens",
                ));
            }
            Some(Known::Cut) => return Ok(FinishReason::Length),
            Some(Known::Tools) => return Ok(FinishReason::ToolCalls),
            Some(Known::Not) => FinishReason::Unknown(word.unwrap_or_default()),
            Some(Known::Done) => FinishReason::Stop,
            None if self.end_mark => FinishReason::Stop,
            None => {
                return Err(ModelError::new(ErrorClass::Truncated, "The answer broke off before its end"));
            }
        };
        if has_text {
            return Ok(reason);
        }
        let message = format!("The model's answer is empty (it ended with: {reason})");
        Err(ModelError::new(ErrorClass::Empty, message))
    }
}

/// The list that contains a word.
#[derive(Clone, Copy, Debug)]
enum Known {
    Done,
    Cut,
    Tools,
    Aborted(ErrorClass),
    Not,
}

impl Known {
    fn of(word: &str) -> Self {
        let is = |known: &&str| known.eq_ignore_ascii_case(word);
        if DONE.iter().any(is) {
            Self::Done
        } else if CUT.iter().any(is) {
            Self::Cut
        } else if TOOLS.iter().any(is) {
            Self::Tools
        } else {
            let listed = ABORTED.iter().find(|(known, _)| is(known));
            listed.map_or(Self::Not, |(_, class)| Self::Aborted(*class))
        }
    }
}

fn aborted(class: ErrorClass, word: &str, said: &str) -> ModelError {
    if class == ErrorClass::Refused {
        return refused(Some(word), said);
    }
    ModelError::new(class, with_words("The provider aborted the answer", Some(word), said))
}

fn refused(word: Option<&str>, said: &str) -> ModelError {
    let message = with_words("The provider or the model refused to answer", word, said);
    ModelError::new(ErrorClass::Refused, message)
}

fn with_words(what: &str, word: Option<&str>, said: &str) -> String {
    let word = word.map(|word| format!(" ({word})")).unwrap_or_default();
    let said = if said.is_empty() { String::new() } else { format!(": {said}") };
    format!("{what}{word}{said}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A word on two lists would have two meanings.
    #[test]
    fn each_word_stands_on_one_list_in_lower_case() {
        let aborted = ABORTED.iter().map(|(word, _)| word);
        let all: Vec<_> = DONE.iter().chain(CUT).chain(TOOLS).chain(aborted).collect();
        for (index, word) in all.iter().enumerate() {
            assert_eq!(word.to_lowercase(), **word);
            assert!(!all[..index].contains(word), "{word} stands twice");
        }
    }

    /// The protocol tests cover every listed word, in every protocol.
    #[test]
    fn each_word_is_in_the_table_of_the_tests() {
        let table = include_str!("../../tests/engine/finish_words.rs").to_lowercase();
        let aborted = ABORTED.iter().map(|(word, _)| word);
        for word in DONE.iter().chain(CUT).chain(TOOLS).chain(aborted) {
            assert!(table.contains(&format!("\"{word}\"")), "{word} is not said");
        }
    }

    #[test]
    fn a_refusal_counts_whatever_the_word() {
        let refusal = Some("I cannot help with that.".to_owned());
        let ending = Ending { word: Some("stop".to_owned()), refusal, ..Ending::default() };
        let error = ending.judge(true, &Redactor::default()).unwrap_err();
        assert_eq!(error.class, ErrorClass::Refused);
        assert_eq!(error.message, "The provider or the model refused to answer: I cannot help with that.");
    }
}
