//! One step of a run: its status, and its attempts.

use crate::{
    event::{Decision, Failure, TextRef},
    id::{OwnerId, RunNumber, Timestamp},
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
    /// The run that it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub child: Option<RunNumber>,
    /// What the model said in it, where that did not become the step's output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub said: Option<TextRef>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<AttemptEnd>,
}

/// What a step that waits for a person asks of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Question {
    pub asked_at: Timestamp,
    pub question: TextRef,
    pub proposal: TextRef,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    pub on_timeout: Decision,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answer>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    pub at: Timestamp,
    pub decision: Decision,
    /// None: the time limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// The items of a step under forEach: a step run for each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Items {
    /// The list, as JSON.
    pub list: TextRef,
    pub runs: Vec<StepState>,
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
    /// Its output is that of the run that this one was forked from.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub reused: bool,
    /// Why a step under forEach failed as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub question: Option<Question>,
    /// Under forEach, once its list is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub items: Option<Items>,
    /// When it came to its end, where that is not the end of its last attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settled_at: Option<Timestamp>,
    /// Its items included.
    pub usage: Usage,
}

pub(super) fn is_zero(n: &u32) -> bool {
    *n == 0
}

impl StepState {
    /// The run has ended before it did.
    pub(super) fn close(&mut self, status: StepStatus, reason: Option<&str>) {
        let began = matches!(self.status, StepStatus::Running | StepStatus::Waiting);
        self.status = if began { StepStatus::Cancelled } else { status };
        self.skipped = reason.filter(|_| !began).map(str::to_owned);
    }

    /// Itself, without the runs of its items: for one who looks at the step alone, however many items there are.
    pub fn alone(&self) -> Self {
        let items = self.items.as_ref().map(|items| Items { list: items.list.clone(), runs: Vec::new() });
        Self {
            status: self.status,
            role: self.role.clone(),
            condition: self.condition,
            ready_at: self.ready_at,
            retry_at: self.retry_at,
            attempts: self.attempts.clone(),
            failures: self.failures,
            interruptions: self.interruptions,
            output: self.output.clone(),
            skipped: self.skipped.clone(),
            reused: self.reused,
            error: self.error.clone(),
            question: self.question.clone(),
            items,
            settled_at: self.settled_at,
            usage: self.usage,
        }
    }

    /// What was said in its last attempt, where it has ended without an output.
    pub fn said(&self) -> Option<&TextRef> {
        let said = self.attempts.last()?.said.as_ref();
        said.filter(|said| self.status.is_end() && self.output.is_none() && said.bytes > 0)
    }

    /// The attempt that is open, if one is.
    pub fn open_attempt(&self) -> Option<&Attempt> {
        self.attempts.last().filter(|attempt| attempt.end.is_none())
    }

    /// When something was first done for it: an attempt, a question, or its list.
    pub fn started_at(&self) -> Option<Timestamp> {
        let attempt = self.attempts.first().map(|attempt| attempt.started_at);
        let question = || self.question.as_ref().map(|question| question.asked_at);
        attempt.or_else(question).or_else(|| self.ready_at.filter(|_| self.items.is_some()))
    }

    pub fn finished_at(&self) -> Option<Timestamp> {
        if !self.status.is_end() {
            return None;
        }
        self.settled_at.or_else(|| self.attempts.last().and_then(|attempt| attempt.finished_at))
    }

    /// The last failure, whether it was tried again or not.
    pub fn failure(&self) -> Option<&Failure> {
        let attempt = || self.attempts.iter().rev().find_map(|attempt| attempt.end.as_ref()?.failure());
        self.error.as_ref().or_else(attempt)
    }

    /// Its item runs; none before its list is known.
    pub fn item_runs(&self) -> &[StepState] {
        self.items.as_ref().map_or(&[], |items| &items.runs)
    }
}
