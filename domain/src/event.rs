//! The immutable facts of a run. They are the only truth: state, status, metadata and pages are folds over them.
//!
//! An event is written once, in the transaction that makes it true, under a number without gaps (`seq`, from 1).
//! Payloads are compact: prompts and outputs are stored once as contents and referred to by [`TextRef`].
//!
//! The order a viewer may rely on:
//! `acknowledged` → `submitted` → `rolesResolved` → per step: `ready` → `started` → `prompt` → (text, transient) →
//! `finished` | `stepFailed` | `timedOut` | `interrupted` | `skipped` | `waiting` → `completed` | `failed` | `cancelled`.

use crate::{
    error::ErrorClass,
    id::{ContentId, EventId, OwnerId, StepRunId, Timestamp},
    key::TemplateKey,
    plan::Plan,
    role::StepRole,
    usage::Usage,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// One row of a run's log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// From 1, gap-free per run, in commit order.
    pub seq: u64,
    pub at: Timestamp,
    #[serde(flatten)]
    pub kind: EventKind,
}

/// A stored text: where it is, how long it is, and how it begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TextRef {
    #[serde(rename = "ref")]
    pub id: ContentId,
    /// Length in UTF-8 bytes.
    pub bytes: u64,
    /// The first [`TextRef::HEAD`] bytes or less, cut at a character.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub head: String,
}

impl TextRef {
    /// How much of a text an event carries, in bytes: enough for a line in a list.
    pub const HEAD: usize = 240;

    pub fn new(id: ContentId, text: &str) -> Self {
        Self { id, bytes: text.len() as u64, head: head(text, Self::HEAD).to_owned() }
    }
}

/// The longest beginning of `text` that has at most `limit` bytes.
pub fn head(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit)]
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TemplateVersion {
    pub key: TemplateKey,
    pub version: u32,
    /// The template's title when the run began.
    pub name: String,
}

/// Why a run was started from another one (a fork).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Parent {
    pub run: u32,
    pub from_step: String,
}

/// What went wrong, for a person: plain words, no key, no SQL, no path of the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "camelCase")]
#[error("{message}")]
pub struct Failure {
    pub class: ErrorClass,
    pub message: String,
}

impl Failure {
    pub fn new(class: ErrorClass, message: impl Into<String>) -> Self {
        Self { class, message: message.into() }
    }
}

/// The kinds, on the wire under `kind`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum EventKind {
    /// The launch is stored; from here on nothing is lost.
    Acknowledged {
        event_id: EventId,
        /// Where its first call stands in the queue of its provider, from 1; 0: it starts at once.
        queue_position: u32,
    },
    Submitted {
        template: TemplateVersion,
        plan: Arc<Plan>,
        input: TextRef,
        /// Who started it: the member's name.
        by: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        parent: Option<Parent>,
    },
    /// One entry per step of the plan that needs a role, with its reason.
    RolesResolved {
        roles: Vec<StepRole>,
    },

    Ready {
        step: StepRunId,
    },
    ConditionEvaluated {
        step: StepRunId,
        holds: bool,
    },
    /// An attempt is claimed by `owner`; the first one of a run is what "processing" means.
    Started {
        step: StepRunId,
        attempt: u32,
        owner: OwnerId,
    },
    /// The exact messages of the attempt, stored before they are sent.
    Prompt {
        step: StepRunId,
        attempt: u32,
        prompt: TextRef,
    },
    Finished {
        step: StepRunId,
        attempt: u32,
        output: TextRef,
        usage: Usage,
        /// The model stopped at its limit of tokens.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        cut: bool,
    },
    StepFailed {
        step: StepRunId,
        attempt: u32,
        error: Failure,
        /// When it is tried again; none: failed for good.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_at: Option<Timestamp>,
    },
    TimedOut {
        step: StepRunId,
        attempt: u32,
        error: Failure,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_at: Option<Timestamp>,
    },
    /// The process that owned the attempt is gone.
    Interrupted {
        step: StepRunId,
        attempt: u32,
        error: Failure,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_at: Option<Timestamp>,
    },
    Skipped {
        step: StepRunId,
        reason: String,
    },
    /// The attempt was open, or the step had yet to run, when the run was cancelled.
    StepCancelled {
        step: StepRunId,
    },

    Completed {
        output: TextRef,
        /// The run's output as a message shows it, at most [`OUTPUT_LIMIT`] bytes.
        shown: String,
    },
    Failed {
        error: Failure,
        /// The step that decided it, by name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        step: Option<String>,
    },
    Cancelled {
        by: String,
    },
}

/// How much of a run's output its message's metadata holds, in bytes (DESIGN section 4).
pub const OUTPUT_LIMIT: usize = 16 * 1024;

impl EventKind {
    /// The kind's name on the wire, for filters and logs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Acknowledged { .. } => "acknowledged",
            Self::Submitted { .. } => "submitted",
            Self::RolesResolved { .. } => "rolesResolved",
            Self::Ready { .. } => "ready",
            Self::ConditionEvaluated { .. } => "conditionEvaluated",
            Self::Started { .. } => "started",
            Self::Prompt { .. } => "prompt",
            Self::Finished { .. } => "finished",
            Self::StepFailed { .. } => "stepFailed",
            Self::TimedOut { .. } => "timedOut",
            Self::Interrupted { .. } => "interrupted",
            Self::Skipped { .. } => "skipped",
            Self::StepCancelled { .. } => "stepCancelled",
            Self::Completed { .. } => "completed",
            Self::Failed { .. } => "failed",
            Self::Cancelled { .. } => "cancelled",
        }
    }

    /// The step run it is about, if it is about one.
    pub fn step(&self) -> Option<StepRunId> {
        match self {
            Self::Ready { step }
            | Self::ConditionEvaluated { step, .. }
            | Self::Started { step, .. }
            | Self::Prompt { step, .. }
            | Self::Finished { step, .. }
            | Self::StepFailed { step, .. }
            | Self::TimedOut { step, .. }
            | Self::Interrupted { step, .. }
            | Self::Skipped { step, .. }
            | Self::StepCancelled { step } => Some(*step),
            _ => None,
        }
    }
}

/// Text of an open attempt, as it streams. Never stored: a finished attempt's text is its output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Delta {
    pub step: StepRunId,
    pub attempt: u32,
    /// Where `text` begins, in UTF-8 bytes of the attempt's text.
    pub offset: u64,
    pub text: String,
}
