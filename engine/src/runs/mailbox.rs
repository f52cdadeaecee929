//! Commands to the actor of a run from outside of its task.

use super::body::News;
use crate::{
    Error,
    models::{PromptPermit, Slot},
};
use domain::{
    event::Decision,
    id::{RunNumber, StepRunId, Timestamp},
    run::RunState,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

pub(super) type Mailbox = mpsc::UnboundedReceiver<Command>;
pub(super) type MailboxSender = mpsc::UnboundedSender<Command>;

pub(super) enum Command {
    /// Check for requests to the run, expired time limits and news of its child runs.
    Wake,
    /// The time limit set for this time has been reached.
    LimitDue { at: Timestamp },
    /// Start the call of a claimed attempt.
    Execute { step: StepRunId, attempt: u32 },
    /// News of an attempt, for its step's body.
    News { step: StepRunId, attempt: u32, news: News },
    /// The same, from [work](super::batch::Work) that the actor counts as pending. None: it panicked.
    Done { step: StepRunId, attempt: u32, news: Option<News> },
    /// A slot of the provider is free for this attempt.
    Slot { step: StepRunId, attempt: u32, slot: Slot, permit: Option<PromptPermit> },
    /// There is room for the first prompt that waits for it.
    Budget { permit: PromptPermit },
    /// The time of a retry has come.
    Due { step: StepRunId, attempt: u32 },
    /// Send the committed state, for a page.
    Show { reply: oneshot::Sender<Box<RunState>> },
}

/// A person's decision about a step that waits.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Decided {
    pub decision: Decision,
    pub by: String,
    pub note: String,
    pub output: Option<Value>,
}

pub(super) fn has_ended(number: RunNumber) -> Error {
    Error::Conflict(format!("run {number} has ended"))
}
