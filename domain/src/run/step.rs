//! One step of a run: its status, and its attempts.

use crate::{
    event::{ChildQuestion, Decision, Failure, Link, PendingCall, TextRef},
    fork::{Origin, RerunReason},
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
    /// May start: waits for a slot of its provider or for the time of its next attempt.
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

/// When an attempt ended, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AttemptEnd {
    pub at: Timestamp,
    pub outcome: AttemptOutcome,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum AttemptOutcome {
    Finished,
    Failed(Failure),
    /// The provider refused the call for its rate. The call went back to the queue, and counts as no failure of the step.
    Throttled(Failure),
    TimedOut(Failure),
    Interrupted(Failure),
    Cancelled,
}

impl AttemptOutcome {
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Failed(failure)
            | Self::Throttled(failure)
            | Self::TimedOut(failure)
            | Self::Interrupted(failure) => Some(failure),
            Self::Finished | Self::Cancelled => None,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// From 1. Numbers are missing before an attempt with several `refusals`.
    pub number: u32,
    /// How many calls in a row the provider refused for their rate. They are one attempt here, from the start of the first
    /// to the end of the last: a queue may try for an hour.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub refusals: u32,
    /// The server process that executes the attempt, or claimed it if its call is pending; `None` if it is executed
    /// elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<OwnerId>,
    pub started_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<TextRef>,
    /// Present while the attempt's call waits for a delivery.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<PendingCall>,
    /// What executes the attempt, if it is executed elsewhere and has begun there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<Link>,
    /// The text that the model had produced when the attempt ended without an output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partial_output: Option<TextRef>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<AttemptEnd>,
}

impl Attempt {
    /// Whether the attempt is claimed and its call has not begun.
    pub fn is_pending(&self) -> bool {
        self.pending.is_some() && self.end.is_none()
    }

    /// Why the attempt failed, if it did.
    pub fn failure(&self) -> Option<&Failure> {
        self.end.as_ref()?.outcome.failure()
    }

    pub fn finished_at(&self) -> Option<Timestamp> {
        self.end.as_ref().map(|end| end.at)
    }

    /// The child run that the attempt launched.
    pub fn child(&self) -> Option<RunNumber> {
        self.link.and_then(Link::child_run)
    }

    pub fn is_throttled(&self) -> bool {
        matches!(self.end, Some(AttemptEnd { outcome: AttemptOutcome::Throttled(_), .. }))
    }
}

/// The question of a step that waits for a person.
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

/// The question as the child run asks it, still without an answer.
impl From<&ChildQuestion> for Question {
    fn from(child: &ChildQuestion) -> Self {
        Self {
            asked_at: child.asked_at,
            question: child.question.clone(),
            proposal: child.proposal.clone(),
            until: child.until,
            on_timeout: child.on_timeout,
            answer: None,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    pub at: Timestamp,
    pub decision: Decision,
    /// `None` if the time limit decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

impl Answer {
    pub fn is_rejection(&self) -> bool {
        self.decision == Decision::Reject
    }
}

/// Why a step did not start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum SkipReason {
    /// The reason is recorded in the log.
    Given { reason: String },
    /// The run had failed before; `step` is the name of the step that caused it, if any.
    RunFailed {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        step: Option<String>,
    },
}

/// The items of a step with `forEach`, with a step run for each.
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
    /// The result of the step's condition, once evaluated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub condition: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready_at: Option<Timestamp>,
    /// When the next attempt may start after a failed one.
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
    /// Start time of the first of the consecutive attempts whose calls the provider rate-limited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub throttled_since: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<TextRef>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skipped: Option<SkipReason>,
    /// Whether the output was taken over from the run that this one was forked from.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub reused: bool,
    /// The origin of that output.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<Box<Origin>>,
    /// Why the step runs again in a fork, if something changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rerun: Option<RerunReason>,
    /// Why a step with `forEach` failed as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub question: Option<Question>,
    /// The question that the step's child run waits with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub child_question: Option<Box<ChildQuestion>>,
    /// Present for a step with `forEach` once its list is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub items: Option<Items>,
    /// When the step ended, if that is not the end of its last attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settled_at: Option<Timestamp>,
    /// Includes the usage of its items.
    pub usage: Usage,
}

pub(super) fn is_zero(n: &u32) -> bool {
    *n == 0
}

impl StepState {
    /// Closes a step that had not ended when the run did.
    pub(super) fn close(&mut self, status: StepStatus, reason: Option<&SkipReason>) {
        let began = matches!(self.status, StepStatus::Running | StepStatus::Waiting);
        self.status = if began { StepStatus::Cancelled } else { status };
        self.skipped = reason.filter(|_| !began).cloned();
        self.child_question = None;
    }

    /// Merges the last attempt, which was throttled, into the one before it if that was throttled, too.
    pub(super) fn merge_refusals(&mut self) {
        let before = self.attempts.len().checked_sub(2).and_then(|index| self.attempts.get(index));
        let before =
            before.filter(|before| before.is_throttled()).map(|before| (before.started_at, before.refusals));
        if before.is_some() {
            self.attempts.remove(self.attempts.len() - 2);
        }
        if let Some(last) = self.attempts.last_mut() {
            last.refusals = 1;
            if let Some((started_at, refusals)) = before {
                last.started_at = started_at;
                last.refusals += refusals;
            }
        }
    }

    /// A copy without the runs of the step's items: cheap for any number of items.
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
            throttled_since: self.throttled_since,
            output: self.output.clone(),
            skipped: self.skipped.clone(),
            reused: self.reused,
            origin: self.origin.clone(),
            rerun: self.rerun.clone(),
            error: self.error.clone(),
            question: self.question.clone(),
            child_question: self.child_question.clone(),
            items,
            settled_at: self.settled_at,
            usage: self.usage,
        }
    }

    /// The partial output of the last attempt, if the step has ended without an output.
    pub fn partial_output(&self) -> Option<&TextRef> {
        let partial = self.attempts.last()?.partial_output.as_ref();
        partial.filter(|partial| self.status.is_end() && self.output.is_none() && partial.bytes > 0)
    }

    /// The role that made the output. `None` if no role did, or if several roles made the items.
    pub fn maker(&self) -> Option<&StepRole> {
        let others = |run: &&StepState| {
            let role = run.origin.as_ref().and_then(|origin| origin.role.as_ref());
            role.is_some_and(|role| self.role.as_ref().is_none_or(|own| !own.is_same(role)))
        };
        self.role.as_ref().filter(|_| !self.item_runs().iter().any(|run| others(&run)))
    }

    /// The open attempt, if any.
    pub fn open_attempt(&self) -> Option<&Attempt> {
        self.attempts.last().filter(|attempt| attempt.end.is_none())
    }

    /// The number of the attempt after the last one.
    pub fn next_attempt(&self) -> u32 {
        self.attempts.last().map_or(1, |attempt| attempt.number + 1)
    }

    /// The number of the current try: of the attempt that is open, else of the last one, without calls that the provider
    /// refused for their rate. 0 before the first.
    pub fn current_try(&self) -> u32 {
        let refusals: u32 = self.attempts.iter().map(|attempt| attempt.refusals).sum();
        self.attempts.last().map_or(0, |last| last.number - refusals + u32::from(last.is_throttled()))
    }

    /// When work on the step started: its first attempt, its question, or its list.
    pub fn started_at(&self) -> Option<Timestamp> {
        let attempt = self.attempts.first().map(|attempt| attempt.started_at);
        let question = || self.question.as_ref().map(|question| question.asked_at);
        attempt.or_else(question).or_else(|| self.ready_at.filter(|_| self.items.is_some()))
    }

    pub fn finished_at(&self) -> Option<Timestamp> {
        if !self.status.is_end() {
            return None;
        }
        self.settled_at.or_else(|| self.attempts.last().and_then(Attempt::finished_at))
    }

    /// The last failure, whether it was retried or not. A call that the provider refused for its rate is no failure.
    pub fn failure(&self) -> Option<&Failure> {
        let failed = self.attempts.iter().rev().filter(|attempt| !attempt.is_throttled());
        let attempt = || failed.clone().find_map(Attempt::failure);
        self.error.as_ref().or_else(attempt)
    }

    /// The runs of the step's items; empty before its list is known.
    pub fn item_runs(&self) -> &[StepState] {
        self.items.as_ref().map_or(&[], |items| &items.runs)
    }
}
