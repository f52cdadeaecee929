//! What a batch of a run writes: its events, their texts, and the columns folded from them.

use super::{
    Savepoint,
    files::{self, FileBase, NewFile},
    requests::{self, SettledRow},
    runs::Derived,
    sqlite::{log_rows, statement::TransactionBounds},
    wakes,
};
use crate::{Error, Result};
use domain::{
    event::{Event, EventKind},
    id::{ContentId, MessageId, OwnerId, ProjectId, RunId, StepRunId, TaskId, Timestamp},
    run::{MessageMetadata, RunStatus},
    view::Subject,
};
use serde::Serialize;
use sqlx::SqliteConnection;
use std::sync::Arc;

/// A batch with more text (bytes) than this gets its own statement, because all rows of a shared statement are in memory
/// at once.
pub const SHARED: usize = 256 * 1024;

/// What a batch adds to its run's log, and what follows from it. It can be submitted again after a failed commit.
#[derive(Clone)]
pub struct LogAppend {
    pub run: RunId,
    pub project: ProjectId,
    pub task: TaskId,
    pub message: MessageId,
    /// The last sequence number before this batch: the fence.
    pub expected: u64,
    /// The time of all its events.
    pub at: Timestamp,
    pub events: Arc<Vec<Event>>,
    pub contents: Arc<Vec<(ContentId, String)>>,
    pub derived: Derived,
    /// Whether the run advanced with this batch. If so, it is no longer suspected of crashing the server.
    pub progress: bool,
    /// The message's new metadata, if it is to be updated.
    pub metadata: Option<Arc<MessageMetadata>>,
    /// The message's text, when the run has ended.
    pub output: Option<Arc<str>>,
    /// The change for lists, if the run's status changed.
    pub subject: Option<Subject>,
    /// The server that executes the run.
    pub owner: OwnerId,
    /// Requests to the run that this batch carries out or refuses.
    pub settled: Arc<Vec<SettledRow>>,
    /// Child runs to stop.
    pub stops: Arc<Vec<ChildStop>>,
    /// The file states on which this batch's writes are based. The batch is refused if one of these files was written
    /// since.
    pub bases: Arc<Vec<FileBase>>,
}

/// Child runs to stop in the same commit as their caller's batch.
#[derive(Clone, Debug)]
pub struct ChildStop {
    /// The attempt that launched them; none: every child run of the run.
    pub of: Option<(StepRunId, u32)>,
    /// The request to insert for them, as JSON.
    pub request: String,
}

impl LogAppend {
    fn files(&self) -> impl Iterator<Item = NewFile> {
        self.events.iter().filter_map(|event| match &event.kind {
            EventKind::FileWritten { path, content, .. } => Some(NewFile {
                task: self.task,
                path: path.clone(),
                run: self.run,
                seq: event.seq,
                content: content.id,
                bytes: content.bytes,
                at: event.at,
            }),
            _ => None,
        })
    }
}

/// The stored form of a run's batch. The task that queues it computes all of it, so the single writer only binds it.
pub struct LogRow {
    pub(super) run: RunId,
    /// The last sequence number before this batch: the fence.
    pub(super) expected: u64,
    /// The last sequence number after this batch.
    pub(super) last: u64,
    pub(super) at: Timestamp,
    pub(super) project: ProjectId,
    pub(super) message: MessageId,
    /// JSON, as `metadata` and `subject`.
    pub(super) events: String,
    pub(super) contents: Arc<Vec<(ContentId, String)>>,
    pub(super) metadata: Option<String>,
    /// The message's text, when the run has ended.
    pub(super) output: Option<Arc<str>>,
    /// The change for lists.
    pub(super) subject: Option<String>,
    pub(super) derived: Derived,
    pub(super) progress: bool,
    pub(super) files: Vec<NewFile>,
    pub(super) owner: OwnerId,
    pub(super) settled: Arc<Vec<SettledRow>>,
    pub(super) stops: Arc<Vec<ChildStop>>,
    pub(super) bases: Arc<Vec<FileBase>>,
}

impl LogRow {
    pub fn new(append: &LogAppend) -> Result<Self> {
        Ok(Self {
            run: append.run,
            expected: append.expected,
            last: append.expected + append.events.len() as u64,
            at: append.at,
            project: append.project,
            message: append.message,
            events: events(&append.events)?,
            contents: append.contents.clone(),
            metadata: append.metadata.as_deref().map(json).transpose()?,
            output: append.output.clone(),
            subject: append.subject.as_ref().map(json).transpose()?,
            derived: append.derived.clone(),
            progress: append.progress,
            files: append.files().collect(),
            owner: append.owner,
            settled: append.settled.clone(),
            stops: append.stops.clone(),
            bases: append.bases.clone(),
        })
    }

    /// Whether one statement can write all of it.
    pub fn is_plain(&self) -> bool {
        let texts: usize = self.contents.iter().map(|(_, body)| body.len()).sum();
        let output = self.output.as_ref().map_or(0, |output| output.len());
        let fits = self.has_texts_in_place() && self.events.len() + texts + output <= SHARED;
        let alone = self.files.is_empty() && self.settled.is_empty() && self.stops.is_empty();
        fits && alone && !self.has_failed()
    }

    /// The project whose change feed gets an entry.
    pub fn changes(&self) -> Option<ProjectId> {
        self.subject.as_ref().map(|_| self.project)
    }

    pub(super) fn has_texts_in_place(&self) -> bool {
        self.contents.len() <= log_rows::TEXTS_IN_PLACE
    }

    /// Whether the run fails with this batch; the user who started it gets an inbox item.
    fn has_failed(&self) -> bool {
        self.derived.status == RunStatus::Failed
    }
}

/// Stores one batch. False: its fence is stale or one of its file bases has changed, and nothing was written.
pub async fn append(tx: &mut SqliteConnection, mut savepoint: Savepoint, batch: &LogRow) -> Result<bool> {
    savepoint.open(tx).await?;
    for base in batch.bases.iter() {
        if !base.is_newest(tx).await? {
            return Ok(false);
        }
    }
    match log_rows::insert(tx, &[batch], TransactionBounds::Between).await {
        Ok(()) => {}
        Err(error) if log_rows::is_fenced(&error) => return Ok(false),
        Err(error) => return Err(error.into()),
    }
    batch.changes().into_iter().for_each(wakes::note);
    if batch.has_failed() {
        sqlx::query("UPDATE run SET failed_for = started_by WHERE id = $1 AND caller_id IS NULL")
            .bind(batch.run.0)
            .execute(&mut *tx)
            .await?;
    }
    if !batch.has_texts_in_place() {
        log_rows::insert_texts(tx, batch.run, &batch.contents).await?;
    }
    for file in &batch.files {
        files::insert(tx, file).await?;
    }
    for ChildStop { of, request } in batch.stops.iter() {
        log_rows::insert_requests_to_children(tx, batch.run, *of, request, batch.at).await?;
    }
    requests::settle(tx, &batch.settled).await?;
    Ok(true)
}

/// Consecutive events as JSON; one statement turns it into rows.
pub fn events(events: &[Event]) -> Result<String> {
    debug_assert!(events.windows(2).all(|two| (two[0].seq + 1, two[0].at) == (two[1].seq, two[1].at)));
    json(&events.iter().map(|event| &event.kind).collect::<Vec<_>>())
}

pub fn json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(Error::internal)
}

pub async fn content(tx: &mut SqliteConnection, run: RunId, id: ContentId, body: &str) -> Result<()> {
    sqlx::query("INSERT INTO content (id, run_id, body) VALUES ($1, $2, $3)")
        .bind(id.0)
        .bind(run.0)
        .bind(body)
        .execute(tx)
        .await?;
    Ok(())
}
