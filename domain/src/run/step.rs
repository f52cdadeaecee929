//! One step of a run: its status, and its attempts.

use crate::{
    event::{Failure, TextRef},
    id::{OwnerId, Timestamp},
    role::StepRole,
    usage::Usage,
};
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StepStatus {
    /// Waits for the steps it depends on.
    #[default]
    Pending,
    /// May start: waits for a slot of its provider or for its next attempt's time.
    Ready,
    Running,
    Waiting,
    Completed,
    Failed,
    Skipped,
    Cancelled,
}

impl StepStatus {
    pub fn is_end(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Skipped | Self::Cancelled)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Ready => "ready",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Cancelled => "cancelled",
        }
    }
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum AttemptEnd {
    Finished,
    Failed(Failure),
    TimedOut(Failure),
    Interrupted(Failure),
    Cancelled,
}

impl AttemptEnd {
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Failed(failure) | Self::TimedOut(failure) | Self::Interrupted(failure) => Some(failure),
            Self::Finished | Self::Cancelled => None,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// From 1.
    pub number: u32,
    pub owner: OwnerId,
    pub started_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<TextRef>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<AttemptEnd>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StepState {
    pub status: StepStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<StepRole>,
    /// What its condition came to, once evaluated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub condition: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready_at: Option<Timestamp>,
    /// When the next attempt may start, after a failed one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<Attempt>,
    /// Failed attempts that count against `maxRetries`.
    #[serde(skip_serializing_if = "is_zero")]
    pub failures: u32,
    /// Interruptions since the last attempt that ended by itself.
    #[serde(skip_serializing_if = "is_zero")]
    pub interruptions: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<TextRef>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skipped: Option<String>,
    pub usage: Usage,
}

pub(super) fn is_zero(n: &u32) -> bool {
    *n == 0
}

impl StepState {
    /// The attempt that is open, if one is.
    pub fn open_attempt(&self) -> Option<&Attempt> {
        self.attempts.last().filter(|attempt| attempt.end.is_none())
    }

    pub fn started_at(&self) -> Option<Timestamp> {
        self.attempts.first().map(|attempt| attempt.started_at)
    }

    pub fn finished_at(&self) -> Option<Timestamp> {
        if self.status.is_end() { self.attempts.last().and_then(|attempt| attempt.finished_at) } else { None }
    }

    /// The last failure, whether it was tried again or not.
    pub fn failure(&self) -> Option<&Failure> {
        self.attempts.iter().rev().find_map(|attempt| attempt.end.as_ref()?.failure())
    }
}
