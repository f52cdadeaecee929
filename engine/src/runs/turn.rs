//! What one turn of a run adds to its log, and what is to be done once that is committed.

use crate::{
    Error, Result,
    models::{ModelClient, ModelRequest, ProviderLimits, Slot},
    store::{self, messages, runs::Derived},
};
use domain::{
    event::Event,
    id::{ContentId, MessageId, ProjectId, RunId, StepRunId, Timestamp},
    run::{MessageMetadata, RunState},
    view::Subject,
};
use sqlx::SqliteConnection;
use std::{sync::Arc, time::Duration};

/// Everything that happened to a run between two commits.
pub(super) struct Turn {
    pub at: Timestamp,
    pub events: Vec<Event>,
    pub contents: Vec<(ContentId, String)>,
    pub starts: Vec<Start>,
    pub waits: Vec<Wait>,
    pub timers: Vec<(StepRunId, u32, Timestamp)>,
    /// The run's output in full, when this turn ends it.
    pub output: Option<String>,
}

/// A claimed attempt, to be executed after the commit.
pub(super) struct Start {
    pub step: StepRunId,
    pub attempt: u32,
    pub client: Arc<dyn ModelClient>,
    pub request: ModelRequest,
    pub slot: Slot,
    pub limit: Duration,
}

/// An attempt that waits for a slot of its provider.
pub(super) struct Wait {
    pub step: StepRunId,
    pub attempt: u32,
    pub limits: Arc<ProviderLimits>,
}

impl Turn {
    pub fn new(at: Timestamp) -> Self {
        Self {
            at,
            events: Vec::new(),
            contents: Vec::new(),
            starts: Vec::new(),
            waits: Vec::new(),
            timers: Vec::new(),
            output: None,
        }
    }
}

/// What a turn writes: one command of the writer, under the run's fence. It can be given again after a failed commit.
#[derive(Clone)]
pub(super) struct Append {
    pub run: RunId,
    pub project: ProjectId,
    pub message: MessageId,
    /// The log's end that this follows.
    pub expected: u64,
    pub events: Arc<Vec<Event>>,
    pub contents: Arc<Vec<(ContentId, String)>>,
    pub derived: Derived,
    /// The message's metadata, when it is to be brought up to date.
    pub metadata: Option<Arc<MessageMetadata>>,
    pub output: Option<Arc<str>>,
    /// The status changed: lists want to know.
    pub subject: Option<Subject>,
}

impl Append {
    /// False: the fence refused it, and nothing was written.
    pub async fn write(&self, tx: &mut SqliteConnection) -> Result<bool> {
        let last = self.events.last().map_or(self.expected, |event| event.seq);
        if !store::runs::advance(tx, self.run, self.expected, last, &self.derived).await? {
            return Ok(false);
        }
        store::runs::insert_events(tx, self.run, &self.events).await?;
        for (id, body) in self.contents.iter() {
            store::runs::insert_content(tx, self.run, *id, body).await?;
        }
        if let Some(metadata) = &self.metadata {
            messages::update(tx, self.message, metadata, self.output.as_deref()).await?;
        }
        if let Some(subject) = &self.subject {
            store::change(tx, self.project, subject).await?;
        }
        Ok(true)
    }
}

pub(super) fn derived(state: &RunState) -> Derived {
    Derived {
        status: state.status(),
        warnings: state.warnings.len() as u32,
        error: state.error.as_ref().map(|failure| failure.error.message.clone()),
        usage: state.usage,
        finished_at: state.finished_at,
    }
}

/// A launch whose number or key was taken between reading and writing is refused by the database.
pub(super) fn is_unique_violation(error: &Error) -> bool {
    let Error::Internal(source) = error else { return false };
    source
        .downcast_ref::<sqlx::Error>()
        .and_then(sqlx::Error::as_database_error)
        .is_some_and(sqlx::error::DatabaseError::is_unique_violation)
}
