//! What the first batch of a run writes, together with every row that the launch creates.

use super::{
    Savepoint,
    log::{self, LogAppend},
    messages,
    runs::{self, CallerKey, Derived, NewRun},
    sqlite::{beginnings, log_rows, statement::TransactionBounds},
    wakes,
};
use crate::{Error, Result};
use domain::{
    id::{ContentId, ProjectId, RunNumber, TaskId},
    run::MessageMetadata,
    view::Subject,
};
use sqlx::SqliteConnection;

/// The stored form of a run's first batch. The task that queues it computes all of it, so the single writer only binds
/// it.
pub struct Beginning {
    pub(super) run: NewRun,
    /// Title of the conversation, if the conversation is new.
    pub(super) title: Option<String>,
    /// The parent of a new conversation.
    pub(super) above: Option<TaskId>,
    /// The user's message.
    pub(super) content: String,
    /// JSON, as the next texts.
    pub(super) events: String,
    pub(super) contents: String,
    pub(super) last: u64,
    pub(super) derived: Derived,
    pub(super) metadata: String,
    pub(super) snapshot: String,
    /// Output of a run that has ended within its first batch.
    pub(super) output: String,
    pub(super) subject: String,
    pub(super) long: Vec<(ContentId, String)>,
}

impl Beginning {
    /// `subject`: the change for lists; its run number is filled in here.
    pub fn new(
        run: NewRun,
        title: Option<String>,
        above: Option<TaskId>,
        content: String,
        append: &LogAppend,
        metadata: &MessageMetadata,
        subject: &Subject,
    ) -> Result<Self> {
        Ok(Self {
            title,
            above,
            content,
            events: log::events(&append.events)?,
            contents: log_rows::short(&append.contents)?,
            last: append.events.len() as u64,
            derived: append.derived.clone(),
            metadata: log::json(metadata)?,
            snapshot: log::json(&run.snapshot)?,
            output: append.output.as_deref().unwrap_or_default().to_owned(),
            subject: log::json(subject)?,
            long: log_rows::long(&append.contents).cloned().collect(),
            run,
        })
    }

    /// The project whose change feed gets an entry.
    pub fn changes(&self) -> ProjectId {
        self.run.project
    }

    /// Whether one statement can write all of it, with no check before it.
    pub fn is_plain(&self) -> bool {
        let bytes = self.events.len() + self.contents.len() + self.content.len() + self.output.len();
        let new = self.title.is_some() && self.run.caller.is_none();
        new && self.long.is_empty() && bytes <= log::SHARED
    }
}

/// The most runs in a tree: a run with all its descendants.
const MOST_RUNS: u32 = 10_000;

/// Stores a launch. `None`: another run has its idempotency key or was launched by the same attempt; nothing was
/// written. Errors: `Conflict` if the calling run has ended, `NotFound` if the conversation does not exist.
pub async fn begin(
    tx: &mut SqliteConnection,
    mut savepoint: Savepoint,
    beginning: &Beginning,
) -> Result<Option<RunNumber>> {
    savepoint.open(tx).await?;
    let Beginning { run, title, .. } = beginning;
    if let Some((key, _)) = &run.idempotency
        && runs::by_idempotency_key(&mut *tx, run.project, key).await?.is_some()
    {
        return Ok(None);
    }
    if let Some(CallerKey { run: caller, step, attempt, number }) = run.caller {
        if runs::child(&mut *tx, caller, step, attempt).await?.is_some() {
            return Ok(None);
        }
        // The caller was stopped in between: nothing would wait for this run or stop it.
        if runs::has_ended(&mut *tx, caller).await? != Some(false) {
            return Err(Error::Conflict(format!("run {number} has ended")));
        }
        if runs::count_in_tree(&mut *tx, caller).await? > MOST_RUNS {
            let why =
                format!("a run and the runs below it are at most {MOST_RUNS}, and this would be one more");
            return Err(Error::TooLarge(why));
        }
    }
    if title.is_none() && !messages::touch_task(tx, run.task, run.project, run.at).await? {
        return Err(Error::not_found("conversation", run.task));
    }
    let number = beginnings::insert(tx, &[beginning], TransactionBounds::Between).await?.pop();
    wakes::note(beginning.changes());
    for (id, body) in &beginning.long {
        log::content(tx, beginning.run.id, *id, body).await?;
    }
    Ok(number)
}
