//! The events of a model's answer.

use domain::usage::Usage;

use super::finish::FinishReason;

/// An event of an answer. A successful answer ends with [`ModelEvent::Finish`]; a stream without it failed, and its
/// last item is the error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelEvent {
    /// The next piece of the answer; never empty.
    Text(String),
    /// The next piece of the model's reasoning, if the provider shows it. Not part of the answer.
    Reasoning(String),
    /// A keep-alive of the provider. Like every other event it ends a silence.
    Alive,
    /// The usage of the whole call; at most once, just before the end.
    Usage(Usage),
    /// Why the answer ended.
    Finish(FinishReason),
}
