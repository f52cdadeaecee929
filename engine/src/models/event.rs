//! What a model answers, piece by piece.

use std::fmt;

use domain::usage::Usage;

/// A piece of an answer. An answer that succeeded is any number of the others, and [`ModelEvent::Finish`] last; a
/// stream without it failed, and its last item is the error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelEvent {
    /// The next piece of the answer; never empty.
    Text(String),
    /// The next piece of the model's thinking, where the provider shows it. No part of the answer.
    Reasoning(String),
    /// The provider said that it is still there. Like every other event it ends a silence.
    Alive,
    /// What the whole call consumed; at most once, just before the end.
    Usage(Usage),
    /// Why the answer ended.
    Finish(FinishReason),
}

/// Why a model stopped. Whether that is good enough is for the caller to say: a step under a schema takes no `Length`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FinishReason {
    /// The answer is complete.
    Stop,
    /// The limit on tokens cut it off.
    Length,
    /// The model wants tools called.
    ToolCalls,
    /// The provider's filter, or the model itself, withheld the answer.
    ContentFilter,
    /// The provider's own word for something else.
    Other(String),
}

impl fmt::Display for FinishReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::ToolCalls => "tool calls",
            Self::ContentFilter => "content filter",
            Self::Other(reason) => reason,
        })
    }
}
