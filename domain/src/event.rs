//! The immutable facts of a run. They are the only truth: state, status, metadata and pages are folds over them.
//!
//! An event is written once, in the transaction that makes it true, under a number without gaps (`seq`, from 1).
//! Payloads are compact: prompts and outputs are stored once as contents and referred to by [`TextRef`].
//!
//! The order a viewer may rely on:
//! `acknowledged` → `submitted` → `rolesResolved` → per step: `ready` → `started` → `prompt` → (text, transient) →
//! `fileWritten` → `finished` | `stepFailed` | `timedOut` | `interrupted` | `skipped` | `waiting` → `completed` | `failed`
//! | `cancelled`. Under forEach a step is `ready` → `itemsResolved`, then each item goes its own way, then `gathered`.

use crate::{
    error::ErrorClass,
    file::FilePath,
    id::{ContentId, EventId, OwnerId, RunNumber, StepRunId, Timestamp},
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
    /// It is the JSON of a value; otherwise it is text as it is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub json: bool,
}

impl TextRef {
    /// How much of a text an event carries, in bytes: enough for a line in a list.
    pub const HEAD: usize = 240;

    pub fn new(id: ContentId, text: &str) -> Self {
        Self { id, bytes: text.len() as u64, head: head(text, Self::HEAD).to_owned(), json: false }
    }

    pub fn of_json(id: ContentId, text: &str) -> Self {
        Self { json: true, ..Self::new(id, text) }
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
    pub run: RunNumber,
    pub from_step: String,
}

/// The step of another run that launched this one (a child run).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Caller {
    pub run: RunNumber,
    pub step: StepRunId,
    /// The step's name, for people.
    pub name: String,
    /// How many runs stand above this one, from 1.
    pub depth: u32,
}

/// What a person, or the time limit in a person's place, decides about a step that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Decision {
    /// What was proposed is the output.
    Approve,
    /// The step fails.
    Reject,
    /// What the person gave is the output.
    Edit,
}

impl Decision {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Reject => "reject",
            Self::Edit => "edit",
        }
    }
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
        #[serde(default, skip_serializing_if = "Option::is_none")]
        caller: Option<Caller>,
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
    /// The step's list is known; each item is a step run of its own from here on.
    ItemsResolved {
        step: StepRunId,
        count: u32,
        /// The list, as JSON.
        items: TextRef,
    },
    /// Every item is settled: their outputs in item order, as a JSON list, null for one that failed.
    Gathered {
        step: StepRunId,
        output: TextRef,
        /// Items that failed where the run goes on.
        #[serde(default, skip_serializing_if = "is_zero")]
        failed: u32,
    },
    /// The output of the same step run in the run that this one was forked from; nothing is called for it.
    Reused {
        step: StepRunId,
        output: TextRef,
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
    /// The attempt is a run of its own.
    ChildLaunched {
        step: StepRunId,
        attempt: u32,
        run: RunNumber,
    },
    /// The answer, as it streams, has come to a file of this name.
    FileRequested {
        step: StepRunId,
        attempt: u32,
        path: FilePath,
    },
    /// The step has written a file: a new version of it stands in the conversation.
    FileWritten {
        step: StepRunId,
        attempt: u32,
        path: FilePath,
        content: TextRef,
        /// Made from the version before by edits.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        edited: bool,
    },
    /// A person has to decide.
    Waiting {
        step: StepRunId,
        /// What they are asked.
        question: TextRef,
        /// What they decide about, as JSON.
        proposal: TextRef,
        /// When the time limit decides; none: it waits for as long as it takes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
        /// What the time limit decides.
        on_timeout: Decision,
    },
    /// Somebody has decided, or the time limit has.
    Answered {
        step: StepRunId,
        decision: Decision,
        /// The member's name; none: the time limit.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
        #[serde(default, skip_serializing_if = "String::is_empty")]
        note: String,
        /// None: rejected.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        output: Option<TextRef>,
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
    /// What the model had said in an attempt that ends now without an output, and what that cost as far as it is known.
    Said {
        step: StepRunId,
        attempt: u32,
        /// At most [`SAID_LIMIT`] bytes of it.
        text: TextRef,
        #[serde(default, skip_serializing_if = "Usage::is_none")]
        usage: Usage,
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

/// How much is kept of what a model said in vain, in bytes.
pub const SAID_LIMIT: usize = 1024 * 1024;

impl EventKind {
    /// The kind's name on the wire, for filters and logs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Acknowledged { .. } => "acknowledged",
            Self::Submitted { .. } => "submitted",
            Self::RolesResolved { .. } => "rolesResolved",
            Self::Ready { .. } => "ready",
            Self::ConditionEvaluated { .. } => "conditionEvaluated",
            Self::ItemsResolved { .. } => "itemsResolved",
            Self::Gathered { .. } => "gathered",
            Self::Reused { .. } => "reused",
            Self::Started { .. } => "started",
            Self::Prompt { .. } => "prompt",
            Self::ChildLaunched { .. } => "childLaunched",
            Self::FileRequested { .. } => "fileRequested",
            Self::FileWritten { .. } => "fileWritten",
            Self::Waiting { .. } => "waiting",
            Self::Answered { .. } => "answered",
            Self::Finished { .. } => "finished",
            Self::Said { .. } => "said",
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
            | Self::ItemsResolved { step, .. }
            | Self::Gathered { step, .. }
            | Self::Reused { step, .. }
            | Self::Started { step, .. }
            | Self::Prompt { step, .. }
            | Self::ChildLaunched { step, .. }
            | Self::FileRequested { step, .. }
            | Self::FileWritten { step, .. }
            | Self::Waiting { step, .. }
            | Self::Answered { step, .. }
            | Self::Finished { step, .. }
            | Self::Said { step, .. }
            | Self::StepFailed { step, .. }
            | Self::TimedOut { step, .. }
            | Self::Interrupted { step, .. }
            | Self::Skipped { step, .. }
            | Self::StepCancelled { step } => Some(*step),
            _ => None,
        }
    }
}

fn is_zero(n: &u32) -> bool {
    *n == 0
}

/// Text of an open attempt, as it streams. Never stored as it comes: the text of an attempt that ended is its output, or
/// what it [said](EventKind::Said) in vain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Delta {
    pub step: StepRunId,
    pub attempt: u32,
    /// Where `text` begins, in UTF-8 bytes of the attempt's text.
    pub offset: u64,
    pub text: String,
}
