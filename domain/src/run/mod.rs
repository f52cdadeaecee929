//! A run: its state as a fold over events, the planner that decides what comes next, and the metadata of its message.
//!
//! ```text
//! RunState::apply    the only way state changes; the same code in the server and in the browser
//! Planner::decide    what may start now, what must be evaluated, whether the run has ended
//! MessageMetadata    the JSON that the run's assistant message carries
//! ```

mod fold;
mod log;
mod metadata;
mod phase;
mod planner;
mod retry;
mod state;
mod step;
mod wording;

pub use log::{LOG_LIMIT, Level, LogKind, LogLine, Warning};
pub use metadata::{
    ItemCounts, LogEntry, MessageMetadata, Orchestration, OrchestrationDetails, OrchestrationStatus,
    StepEntry,
};
pub use phase::{Phase, RunStatus};
pub use planner::{Effect, Planner};
pub use retry::{Verdict, backoff};
pub use state::{FILE_LIMIT, RunFailure, RunFile, RunOutput, RunState, STATE_VERSION};
pub use step::{
    Answer, Attempt, AttemptEnd, AttemptOutcome, Items, Question, SkipReason, StepState, StepStatus,
};
pub use wording::THROTTLED;
