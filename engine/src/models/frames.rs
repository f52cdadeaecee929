//! The raw frames of an answer, before `genai` interprets them.
//!
//! `genai` silently ignores some frames: keep-alive comments, Ollama's error lines, a whole web page; and it reports
//! the end of an answer only if the stream ends as its adapter expects. So this module reads the provider's information
//! about the end, with JSON pointers for each protocol.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use domain::usage::Usage;
use genai::chat::{ChatFrameSink, FrameCtx, RawFrameRef};
use serde_json::Value;

use super::finish::Ending;

/// Observes the frames of one answer.
#[derive(Default)]
pub(super) struct FrameWatch {
    frames: AtomicU32,
    /// Frames that may come from a model: JSON, or the end mark of OpenAI's streams.
    plausible: AtomicU32,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    /// The body of an error that the provider reported within the stream.
    error: Option<String>,
    ending: Ending,
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
}

/// The fields in which protocols report the end of an answer. A frame is parsed only if one of them has a value: most
/// frames hold a piece of text and `"finish_reason": null`.
const TELLING: [&str; 8] = [
    "\"finish_reason\"",
    "\"finishReason\"",
    "\"stop_reason\"",
    "\"done_reason\"",
    "\"done\"",
    "\"blockReason\"",
    "\"refusal\"",
    "\"usage\"",
];

/// The largest credible token count.
const MOST_TOKENS: u64 = 1_000_000_000_000;

/// Pointers to the finish reason, in the protocols of OpenAI, Gemini, Anthropic and Ollama.
const WORDS: [&str; 4] =
    ["/choices/0/finish_reason", "/candidates/0/finishReason", "/delta/stop_reason", "/done_reason"];

/// Pointers to the explanation of the finish reason.
const MESSAGES: [&str; 3] =
    ["/choices/0/error/message", "/candidates/0/finishMessage", "/delta/stop_details/explanation"];

impl ChatFrameSink for FrameWatch {
    fn on_frame(&self, _: &FrameCtx, frame: RawFrameRef<'_>) {
        self.frames.fetch_add(1, Ordering::Relaxed);
        if frame.data.starts_with(['{', '[']) {
            self.plausible.fetch_add(1, Ordering::Relaxed);
        }
        if frame.data.starts_with("{\"error\"") {
            self.seen().error = Some(frame.data.to_owned());
        }
        if frame.data == "[DONE]" || frame.event == Some("message_stop") {
            self.seen().ending.end_mark = true;
        } else if TELLING.iter().any(|field| has_value(frame.data, field))
            && let Ok(frame) = serde_json::from_str(frame.data)
        {
            self.seen().read(&frame);
        }
    }
}

impl FrameWatch {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many frames have arrived.
    pub fn count(&self) -> u32 {
        self.frames.load(Ordering::Relaxed)
    }

    /// Whether there were frames, but none that may come from a model.
    pub fn is_another_document(&self) -> bool {
        self.count() > 0 && self.plausible.load(Ordering::Relaxed) == 0
    }

    /// Takes the body of an error that the provider reported within the stream.
    pub fn take_error(&self) -> Option<String> {
        self.seen().error.take()
    }

    /// The information about the end so far.
    pub fn ending(&self) -> Ending {
        self.seen().ending.clone()
    }

    /// Whether the provider has reported the end: no more text can follow.
    pub fn has_ended(&self) -> bool {
        let seen = self.seen();
        seen.ending.word.is_some() || seen.ending.end_mark
    }

    /// The reported usage, if both counts were reported.
    pub fn usage(&self) -> Option<Usage> {
        let seen = self.seen();
        Some(Usage::new(seen.input_tokens?, seen.output_tokens?))
    }
}

impl Seen {
    fn read(&mut self, frame: &Value) {
        let text = |pointer: &str| {
            let text = frame.pointer(pointer)?.as_str()?.trim();
            // Some servers send an empty word or "null" until the end.
            (!text.is_empty() && text != "null").then(|| text.to_owned())
        };
        let ending = &mut self.ending;
        ending.word = WORDS.iter().find_map(|at| text(at)).or(ending.word.take());
        ending.message = MESSAGES.iter().find_map(|at| text(at)).or(ending.message.take());
        ending.end_mark |= frame.get("done").and_then(Value::as_bool).unwrap_or(false);
        // A refusal streams in pieces, including whitespace.
        if let Some(piece) = frame.pointer("/choices/0/delta/refusal").and_then(Value::as_str)
            && !piece.is_empty()
        {
            ending.refusal.get_or_insert_default().push_str(piece);
        }
        // Gemini answers a blocked prompt without any candidate.
        if let Some(reason) = text("/promptFeedback/blockReason") {
            let why = text("/promptFeedback/blockReasonMessage");
            ending.refusal = Some(why.unwrap_or_else(|| "the prompt was blocked".to_owned()));
            ending.word = Some(reason);
        }
        for usage in ["/usage", "/message/usage"].iter().filter_map(|at| frame.pointer(at)) {
            // Ignores counts that are too large for the store to add up.
            let count =
                |field: &str| usage.get(field).and_then(Value::as_u64).filter(|&count| count <= MOST_TOKENS);
            let cached = ["cache_creation_input_tokens", "cache_read_input_tokens"];
            let cached = cached.iter().filter_map(|field| count(field)).fold(0, u64::saturating_add);
            let input =
                count("prompt_tokens").or_else(|| Some(count("input_tokens")?.saturating_add(cached)));
            self.input_tokens = input.or(self.input_tokens);
            let output = count("completion_tokens").or_else(|| count("output_tokens"));
            self.output_tokens = output.or(self.output_tokens);
        }
    }
}

/// Whether the JSON text contains the field (a name in quotes) with a value that is not null or false. A match within a
/// string is possible and only causes a needless parse.
fn has_value(json: &str, field: &str) -> bool {
    json.match_indices(field).any(|(at, _)| {
        let rest = json[at + field.len()..].trim_start();
        rest.strip_prefix(':').is_some_and(|value| {
            let value = value.trim_start();
            !value.starts_with("null") && !value.starts_with("false")
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(frames: &[Value]) -> Seen {
        let mut seen = Seen::default();
        frames.iter().for_each(|frame| seen.read(frame));
        seen
    }

    #[test]
    fn only_frames_that_tell_something_are_parsed() {
        for (frame, telling) in [
            (r#"{"choices":[{"delta":{"content":"a"},"finish_reason":null}],"usage":null}"#, false),
            (r#"{"choices":[{"delta":{"content":"a"},"finish_reason": "stop"}]}"#, true),
            (r#"{"message":{"content":"a"},"done":false}"#, false),
            (r#"{"done" : true}"#, true),
            (r#"{"choices":[{"delta":{"refusal":"No"},"finish_reason":null}]}"#, true),
        ] {
            assert_eq!(TELLING.iter().any(|field| has_value(frame, field)), telling, "{frame}");
        }
    }

    #[test]
    fn words_that_say_nothing_are_none() {
        let word = |word: Value| json!({"choices": [{"finish_reason": word}]});
        assert_eq!(read(&[word(json!("")), word(json!("null")), word(json!(null))]).ending.word, None);
        let seen = read(&[word(json!("stop")), word(json!(""))]);
        assert_eq!(
            seen.ending.word.as_deref(),
            Some("stop"),
            "a later frame without a word takes nothing back"
        );
    }

    #[test]
    fn a_refusal_is_put_together_and_a_blocked_prompt_is_one() {
        let piece = |text: &str| json!({"choices": [{"delta": {"refusal": text}}]});
        let seen = read(&[piece("I can"), piece("not"), piece(" do that.")]);
        assert_eq!(seen.ending.refusal.as_deref(), Some("I cannot do that."));
        let seen = read(&[json!({"promptFeedback": {"blockReason": "SAFETY"}})]);
        assert_eq!(seen.ending.refusal.as_deref(), Some("the prompt was blocked"));
        assert_eq!(seen.ending.word.as_deref(), Some("SAFETY"));
    }

    #[test]
    fn usage_is_known_when_both_counts_are() {
        let start = json!({"message": {"usage": {"input_tokens": 5, "cache_read_input_tokens": 2, "output_tokens": 1}}});
        let delta = json!({"usage": {"output_tokens": 9}});
        let seen = read(&[start, delta]);
        assert_eq!((seen.input_tokens, seen.output_tokens), (Some(7), Some(9)));
        let all = u64::MAX;
        let counts = json!({"input_tokens": all, "cache_read_input_tokens": all, "output_tokens": all});
        let seen = read(&[json!({ "usage": counts })]);
        assert_eq!((seen.input_tokens, seen.output_tokens), (None, None), "nobody counts to 2^64");
        let seen = read(&[json!({"usage": {"completion_tokens": 3}})]);
        assert_eq!((seen.input_tokens, seen.output_tokens), (None, Some(3)));
    }
}
