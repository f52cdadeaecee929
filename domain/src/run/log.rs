//! The lines of a run's log, stored as kinds. `wording` renders them as sentences.

use super::step::{Answer, SkipReason};
use crate::{
    event::Failure,
    file::FilePath,
    fork::RerunReason,
    id::{RunNumber, StepRunId, Timestamp},
    key::RoleKey,
    role::Reason,
};
use serde::{Deserialize, Serialize};

/// Maximum number of log lines in a message (DESIGN section 4); the events have the full history.
pub const LOG_LIMIT: usize = 200;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Info,
    Warning,
    Error,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogLine {
    pub at: Timestamp,
    #[serde(flatten)]
    pub kind: LogKind,
}

/// The content of a log line. Steps are referenced by id; their names are in the run's plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum LogKind {
    /// The run started; its state says what launched it.
    Submitted,
    ItemsResolved {
        step: StepRunId,
        count: u32,
    },
    StepStarted {
        step: StepRunId,
        attempt: u32,
    },
    ChildLaunched {
        step: StepRunId,
        run: RunNumber,
    },
    /// The step's child run waits for a decision on the step called `name` of `run`.
    ChildWaiting {
        step: StepRunId,
        run: RunNumber,
        name: String,
    },
    FileWritten {
        step: StepRunId,
        path: FilePath,
        edited: bool,
    },
    Waiting {
        step: StepRunId,
    },
    Answered {
        step: StepRunId,
        answer: Answer,
    },
    StepCompleted {
        step: StepRunId,
    },
    StepReused {
        step: StepRunId,
        /// The run that made the output.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        run: Option<RunNumber>,
    },
    StepSkipped {
        step: StepRunId,
        reason: SkipReason,
    },
    StepFailed {
        step: StepRunId,
        /// `None` if the step failed as a whole, outside any attempt.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        attempt: Option<u32>,
        error: Failure,
        /// Whether another attempt follows.
        retried: bool,
    },
    Throttled {
        step: StepRunId,
        attempt: u32,
        error: Failure,
    },
    Warned {
        warning: Warning,
    },
    Completed {
        warnings: u32,
    },
    Failed {
        error: Failure,
    },
    Cancelled {
        by: String,
    },
}

impl LogKind {
    pub fn level(&self) -> Level {
        match self {
            Self::StepFailed { retried: false, .. } | Self::Failed { .. } => Level::Error,
            Self::Answered { answer, .. } if answer.is_rejection() => Level::Error,
            Self::StepFailed { retried: true, .. }
            | Self::Throttled { .. }
            | Self::Warned { .. }
            | Self::Cancelled { .. } => Level::Warning,
            Self::Submitted
            | Self::ItemsResolved { .. }
            | Self::StepStarted { .. }
            | Self::ChildLaunched { .. }
            | Self::ChildWaiting { .. }
            | Self::FileWritten { .. }
            | Self::Waiting { .. }
            | Self::Answered { .. }
            | Self::StepCompleted { .. }
            | Self::StepReused { .. }
            | Self::StepSkipped { .. }
            | Self::Completed { .. } => Level::Info,
        }
    }
}

/// A warning of a run that continued or completed in spite of a problem.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "warning", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Warning {
    /// The step has no role assigned: `role` is the fallback.
    RoleFallback { step: StepRunId, role: RoleKey, reason: Reason },
    /// Items failed, and the run continued without their outputs.
    ItemsFailed { step: StepRunId, failed: u32 },
    /// The step failed, and the run continued without its output.
    StepFailed { step: StepRunId, error: Failure },
    /// A person rejected the step, and the run continued without its output.
    Rejected { step: StepRunId, answer: Answer },
    /// The step reused an output made by `run` that is stale: something that it was made from has changed.
    StaleOutput {
        step: StepRunId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        run: Option<RunNumber>,
        reason: RerunReason,
    },
    /// The model reached its token limit.
    CutOff { step: StepRunId },
    /// The provider's finish reason is unknown to the server.
    UnknownFinish { step: StepRunId, word: String },
}
