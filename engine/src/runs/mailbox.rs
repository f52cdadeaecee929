//! What reaches the actor of a run from outside of its task.

use super::attempt::{Answer, CallFailure};
use crate::{
    Error, Result,
    models::{PromptPermit, Slot},
};
use domain::{
    event::{Decision, Failure},
    file::FilePath,
    id::{RunNumber, StepRunId, Timestamp},
    run::RunState,
};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

pub(super) type Mailbox = mpsc::UnboundedReceiver<Command>;
pub(super) type MailboxSender = mpsc::UnboundedSender<Command>;

pub(super) enum Command {
    /// Look again: a delivery may come twice or late.
    Wake,
    /// A time limit that was set for this time has come.
    LimitDue {
        at: Timestamp,
    },
    /// An attempt has ended.
    Ended {
        step: StepRunId,
        attempt: u32,
        outcome: Result<Answer, CallFailure>,
    },
    /// A slot of the provider is free for this attempt.
    Slot {
        step: StepRunId,
        attempt: u32,
        slot: Slot,
        permit: Option<PromptPermit>,
    },
    /// There is room for the first prompt that waits for it.
    Budget {
        permit: PromptPermit,
    },
    /// The time of a retry has come.
    Due {
        step: StepRunId,
        attempt: u32,
    },
    /// The attempt's child run is stored, or cannot be launched.
    Launched {
        step: StepRunId,
        attempt: u32,
        result: Result<RunNumber, Failure>,
    },
    /// The attempt's child run may have ended.
    Child {
        step: StepRunId,
        attempt: u32,
    },
    /// The answer that streams has come to a file.
    FileRequested {
        step: StepRunId,
        attempt: u32,
        path: FilePath,
    },
    /// A person has decided.
    Answer {
        step: StepRunId,
        decided: Decided,
        reply: oneshot::Sender<Result<()>>,
    },
    Cancel {
        by: String,
        reply: oneshot::Sender<Result<()>>,
    },
    /// The committed state, for a page.
    Show {
        reply: oneshot::Sender<Box<RunState>>,
    },
}

/// What a person decides about a step that waits for them.
#[derive(Clone, Debug)]
pub(super) struct Decided {
    pub decision: Decision,
    pub by: String,
    pub note: String,
    pub output: Option<Value>,
}

pub(super) fn has_ended(number: RunNumber) -> Error {
    Error::Conflict(format!("run {number} has ended"))
}
