//! The immutable events of a run, and the only source of truth: state, status, metadata and pages are folds over them.
//!
//! An event is written once, in the transaction that makes it true, under a gap-free number (`seq`, from 1).
//! Payloads are compact: prompts and outputs are stored once as contents and referred to by [`TextRef`].
//!
//! The guaranteed order of events:
//! `acknowledged` → `submitted` → `rolesResolved` → per step: `ready` → `started` → `prompt` → (`callBegan`) → (text, transient) →
//! `fileWritten` → `finished` | `stepFailed` | `throttled` | `timedOut` | `interrupted` | `skipped` | `waiting` →
//! `completed` | `failed` | `cancelled`. A step with `forEach` is `ready` → `itemsResolved`, then its items run
//! independently, then it is `gathered`.

mod kind;
mod text;

pub use crate::decision::Decision;
pub use kind::{EventKind, OUTPUT_LIMIT, PARTIAL_OUTPUT_LIMIT};
pub use text::{TextRef, head};

use crate::{
    error::ErrorClass,
    file::FilePath,
    fork::RerunReason,
    id::{ContentId, RunNumber, StepRunId, Timestamp},
    key::TemplateKey,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

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

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TemplateVersion {
    pub key: TemplateKey,
    pub version: u32,
    /// The template's title when the run started.
    pub name: String,
}

/// A claimed model call that has not begun, and what it needs besides its prompt. Any server that executes the run may
/// make the call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingCall {
    /// The content of each file that the prompt shows.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub shown: BTreeMap<FilePath, ContentId>,
}

/// The run that this one was forked from, and the reasons of the fork.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Parent {
    pub run: RunNumber,
    pub from_step: String,
    /// The steps that run again because something changed. Steps that run again only because a step they depend on
    /// does are not listed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<ChangedStep>,
}

/// A step that a fork runs again because of a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChangedStep {
    /// The step's index in the plan.
    pub step: u32,
    pub reason: RerunReason,
}

/// The step of another run that launched this run as its child.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Caller {
    pub run: RunNumber,
    pub step: StepRunId,
    /// The step's name, for display.
    pub name: String,
    /// Number of runs above this one, from 1.
    pub depth: u32,
}

/// What executes an attempt outside of the server process that claimed it, and so survives that process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Link {
    #[serde(rename = "run")]
    ChildRun(RunNumber),
}

impl Link {
    /// The child run, if it is one.
    pub fn child_run(self) -> Option<RunNumber> {
        let Self::ChildRun(run) = self;
        Some(run)
    }
}

/// The question that a step's child run waits with. It may come from a descendant of the child run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChildQuestion {
    /// The run with the open question; the texts are stored with that run.
    pub run: RunNumber,
    /// The waiting step run of that run, where the answer goes.
    pub step: StepRunId,
    /// The waiting step's name, for display.
    pub name: String,
    pub asked_at: Timestamp,
    pub question: TextRef,
    pub proposal: TextRef,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    pub on_timeout: Decision,
}

/// The cause of a failure in plain language, for users: without keys, SQL or server paths.
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

/// Streaming text of an open attempt. It is not stored as it streams: when the attempt ends, its text is stored as its
/// output or as its [partial output](EventKind::PartialOutput).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Delta {
    pub step: StepRunId,
    pub attempt: u32,
    /// Offset of `text` within the attempt's text, in UTF-8 bytes.
    pub offset: u64,
    pub text: String,
}
