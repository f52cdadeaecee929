//! What one turn of a run adds to its log, and what is to be done once that is committed.

use crate::{
    Error, Result,
    models::{ModelClient, ModelRequest, ProviderLimits, Slot},
    store::{
        Savepoint,
        files::{self, NewFile},
        log,
        runs::Derived,
    },
};
use domain::{
    event::{Event, EventKind},
    file::FilePath,
    id::{ContentId, MessageId, ProjectId, RunId, StepRunId, TaskId, Timestamp},
    key::{RoleKey, TemplateKey},
    plan::{Body, PlannedStep},
    run::{MessageMetadata, RunState, StepState, StepStatus},
    view::Subject,
};
use serde_json::Value;
use sqlx::SqliteConnection;
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// Everything that happened to a run between two commits.
pub(super) struct Turn {
    pub at: Timestamp,
    pub events: Vec<Event>,
    pub contents: Vec<(ContentId, String)>,
    pub starts: Vec<Start>,
    pub waits: Vec<Wait>,
    pub timers: Vec<(StepRunId, u32, Timestamp)>,
    pub children: Vec<ChildStart>,
    /// Attempts whose child runs are to be stopped.
    pub stops: Vec<(StepRunId, u32)>,
    /// Files that it wrote, which nobody else sees yet.
    pub written: BTreeMap<FilePath, String>,
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

/// A claimed attempt that is a run of its own.
pub(super) struct ChildStart {
    pub step: StepRunId,
    pub attempt: u32,
    pub template: TemplateKey,
    pub input: Value,
    pub role_assignments: BTreeMap<String, RoleKey>,
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
            children: Vec::new(),
            stops: Vec::new(),
            written: BTreeMap::new(),
            output: None,
        }
    }
}

/// What a turn writes: one command of the writer, under the run's fence. It can be given again after a failed commit.
#[derive(Clone)]
pub(super) struct Append {
    pub run: RunId,
    pub project: ProjectId,
    pub task: TaskId,
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
    pub async fn write(&self, tx: &mut SqliteConnection, savepoint: Savepoint) -> Result<bool> {
        let turn = log::Append {
            run: self.run,
            project: self.project,
            message: self.message,
            expected: self.expected,
            events: &self.events,
            contents: &self.contents,
            derived: &self.derived,
            metadata: self.metadata.as_deref(),
            output: self.output.as_deref(),
            subject: self.subject.as_ref(),
        };
        if !log::append(tx, savepoint, &turn).await? {
            return Ok(false);
        }
        self.write_files(tx).await?;
        Ok(true)
    }

    pub async fn write_files(&self, tx: &mut SqliteConnection) -> Result<()> {
        for event in self.events.iter() {
            if let EventKind::FileWritten { path, content, .. } = &event.kind {
                let (task, run, seq, at) = (self.task, self.run, event.seq, event.at);
                let file = NewFile { task, path, run, seq, content: content.id, bytes: content.bytes, at };
                files::insert(tx, &file).await?;
            }
        }
        Ok(())
    }
}

pub(super) fn derived(state: &RunState) -> Derived {
    Derived {
        status: state.status(),
        warnings: state.warnings.len() as u32,
        error: state.error.as_ref().map(|failure| failure.error.message.clone()),
        usage: state.usage,
        finished_at: state.finished_at,
        wake_at: next_limit(state),
        asked_at: newest_question(state),
    }
}

/// When the newest open question was asked: what puts the run into people's inboxes.
fn newest_question(state: &RunState) -> Option<Timestamp> {
    if state.waiting == 0 {
        return None;
    }
    let asked = state.step_runs().filter(|(_, run)| run.status == StepStatus::Waiting);
    asked.filter_map(|(_, run)| run.question.as_ref().map(|question| question.asked_at)).max()
}

/// When the next time limit comes of a step that nothing in memory waits for: a question's, or a child run's.
fn next_limit(state: &RunState) -> Option<Timestamp> {
    let limited = |step: &PlannedStep| step.body == Body::Template && step.timeout_ms.is_some();
    let children = state.open > 0 && state.plan.steps.iter().any(limited);
    if state.waiting == 0 && !children {
        return None;
    }
    let limit = |(id, run): (StepRunId, &StepState)| match run.status {
        StepStatus::Waiting => run.question.as_ref()?.until,
        StepStatus::Running => {
            let planned = state.plan.steps.get(id.index()).filter(|planned| limited(planned))?;
            let began = run.open_attempt()?.started_at;
            Some(Timestamp(began.0.saturating_add_unsigned(planned.timeout_ms?)))
        }
        _ => None,
    };
    state.step_runs().filter_map(limit).min()
}

/// A launch whose number or key was taken between reading and writing is refused by the database.
pub(super) fn is_unique_violation(error: &Error) -> bool {
    let Error::Internal(source) = error else { return false };
    source
        .downcast_ref::<sqlx::Error>()
        .and_then(sqlx::Error::as_database_error)
        .is_some_and(sqlx::error::DatabaseError::is_unique_violation)
}
