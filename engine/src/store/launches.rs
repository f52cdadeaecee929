//! What the first turn of a run writes, together with every row that the launch creates. As for later turns, one
//! statement stores the first turns of many runs.

use super::{
    Savepoint,
    log::{self, LogAppend},
    messages,
    runs::{self, CallerKey, Derived, NewRun},
    statement::{StatementCache, TransactionBounds, shares},
    wakes,
};
use crate::{Error, Result};
use domain::{
    id::{ContentId, ProjectId, RunNumber, TaskId},
    run::MessageMetadata,
    view::Subject,
};
use sqlx::SqliteConnection;
use std::{collections::HashMap, sync::LazyLock};
use uuid::Uuid;

/// The stored form of a run's first turn. The task that queues it computes all of it, so the single writer only binds
/// it.
pub struct Beginning {
    run: NewRun,
    /// Title of the conversation, if the conversation is new.
    title: Option<String>,
    /// The parent of a new conversation.
    above: Option<TaskId>,
    /// The user's message.
    content: String,
    /// JSON, as the next texts.
    events: String,
    contents: String,
    last: u64,
    derived: Derived,
    metadata: String,
    snapshot: String,
    /// Output of a run that has ended within its first turn.
    output: String,
    subject: String,
    long: Vec<(ContentId, String)>,
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
            contents: log::short(&append.contents)?,
            last: append.events.len() as u64,
            derived: append.derived.clone(),
            metadata: log::json(metadata)?,
            snapshot: log::json(&run.snapshot)?,
            output: append.output.as_deref().unwrap_or_default().to_owned(),
            subject: log::json(subject)?,
            long: log::long(&append.contents).cloned().collect(),
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

/// The view that first turns of runs are inserted into. Its trigger writes all the rows of one launch.
const BEGINNINGS: &str = "CREATE TEMP VIEW beginning (id, project_id, task_id, title, parent_id, at, user_message, \
     user_id, content, message_id, metadata, template_id, template_key, template_version, template_name, by_name, \
     snapshot, status, warnings, last_seq, idempotency_key, request_digest, wake_at, caller_id, caller_step, \
     caller_attempt, caller_number, events, contents, subject, error, finished_at, output, asked_at, branch, replaces, wake_from, \
     owner) AS \
     SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, \
     NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL; \
     CREATE TEMP TRIGGER run_begun INSTEAD OF INSERT ON beginning WHEN new.id IS NOT NULL BEGIN \
     INSERT INTO task (id, project_id, parent_id, title, created_at, updated_at) \
     SELECT new.task_id, new.project_id, new.parent_id, new.title, new.at, new.at WHERE new.title IS NOT NULL; \
     UPDATE project SET last_run = last_run + 1 WHERE id = new.project_id; \
     INSERT INTO message (id, task_id, author, user_id, content, metadata, run_id, created_at, branch, replaces) \
     VALUES (new.user_message, new.task_id, 'user', new.user_id, new.content, NULL, NULL, new.at, new.branch, \
     new.replaces), \
     (new.message_id, new.task_id, 'assistant', NULL, new.output, new.metadata, new.id, new.at, new.branch, NULL); \
     INSERT INTO run (id, project_id, number, template_id, template_key, template_version, template_name, task_id, \
     message_id, started_by, started_by_name, snapshot, status, warnings, last_seq, idempotency_key, request_digest, \
     created_at, wake_at, caller_id, caller_step, caller_attempt, caller_number, error, finished_at, asked_at, \
     failed_for, wake_from, root_id, owner) SELECT new.id, new.project_id, last_run, new.template_id, new.template_key, new.template_version, \
     new.template_name, new.task_id, new.message_id, new.user_id, new.by_name, new.snapshot, new.status, new.warnings, \
     new.last_seq, new.idempotency_key, new.request_digest, new.at, new.wake_at, new.caller_id, new.caller_step, \
     new.caller_attempt, new.caller_number, new.error, new.finished_at, new.asked_at, \
     CASE WHEN new.status = 'failed' AND new.caller_id IS NULL THEN new.user_id END, \
     new.wake_from, (SELECT CASE WHEN c.root_id IS NULL THEN c.id ELSE c.root_id END FROM run c WHERE c.id = new.caller_id), \
     CASE WHEN new.status = 'waiting' THEN NULL ELSE new.owner END \
     FROM project WHERE id = new.project_id; \
     INSERT INTO template_use (template_id, version, runs) \
     SELECT new.template_id, new.template_version, 1 WHERE new.template_id IS NOT NULL \
     ON CONFLICT (template_id, version) DO UPDATE SET runs = runs + 1; \
     INSERT INTO event (run_id, seq, at, body) \
     SELECT new.id, 1 + key, new.at, value FROM json_each(new.events); \
     INSERT INTO content (id, run_id, body) SELECT unhex(key), new.id, value FROM json_each(new.contents); \
     INSERT INTO change (project_id, body) \
     SELECT id, json_set(new.subject, '$.number', last_run) FROM project WHERE id = new.project_id; \
     END";
/// Columns of that view.
const VALUES: usize = 38;

/// The most runs in a tree: a run with all its descendants.
const MOST_RUNS: u32 = 10_000;

/// Prepares the writer's connection.
pub async fn prepare(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    sqlx::query(BEGINNINGS).execute(connection).await?;
    Ok(())
}

pub(super) static TEXTS: LazyLock<StatementCache> = LazyLock::new(|| {
    StatementCache::new("beginning", VALUES, |rows| {
        format!("; SELECT id, number FROM run WHERE id IN ({})", vec!["?"; rows].join(", "))
    })
});

/// Stores the first turns and returns the run numbers in the same order. After an error, including a taken idempotency
/// key, the caller must roll back the transaction if one has begun.
pub async fn begin_all(
    tx: &mut SqliteConnection,
    beginnings: &[&Beginning],
    bounds: TransactionBounds,
) -> Result<Vec<RunNumber>, sqlx::Error> {
    let mut numbers = Vec::with_capacity(beginnings.len());
    for (share, bounds) in shares(beginnings, bounds) {
        numbers.extend(insert(tx, share, bounds).await?);
    }
    Ok(numbers)
}

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
    let number = insert(tx, &[beginning], TransactionBounds::Between).await?.pop();
    wakes::note(beginning.changes());
    for (id, body) in &beginning.long {
        log::content(tx, beginning.run.id, *id, body).await?;
    }
    Ok(number)
}

async fn insert(
    tx: &mut SqliteConnection,
    beginnings: &[&Beginning],
    bounds: TransactionBounds,
) -> Result<Vec<RunNumber>, sqlx::Error> {
    let (text, rows) = TEXTS.of(beginnings.len(), bounds);
    let bound = beginnings.iter().fold(sqlx::query_as(text), |query, beginning| {
        let Beginning { run, derived, .. } = beginning;
        let (key, digest) = run.idempotency.as_ref().map(|(key, digest)| (key, digest)).unzip();
        let caller = run.caller.as_ref();
        query
            .bind(run.id.0)
            .bind(run.project.0)
            .bind(run.task.0)
            .bind(beginning.title.as_deref())
            .bind(beginning.above.map(|task| task.0))
            .bind(run.at.0)
            .bind(run.snapshot.message.0)
            .bind(run.user.map(|user| user.0))
            .bind(&beginning.content)
            .bind(run.message.0)
            .bind(&beginning.metadata)
            .bind(run.template_id.map(|id| id.0))
            .bind(run.template.key.as_ref())
            .bind(run.template.version)
            .bind(&run.template.name)
            .bind(&run.by)
            .bind(&beginning.snapshot)
            .bind(derived.status.as_str())
            .bind(derived.warnings)
            .bind(beginning.last as i64)
            .bind(key)
            .bind(digest)
            .bind(derived.wake_at.map(|at| at.0))
            .bind(caller.map(|caller| caller.run.0))
            .bind(caller.map(|caller| caller.step.to_string()))
            .bind(caller.map(|caller| caller.attempt))
            .bind(caller.map(|caller| caller.number.0))
            .bind(&beginning.events)
            .bind(&beginning.contents)
            .bind(&beginning.subject)
            .bind(derived.error.as_deref())
            .bind(derived.finished_at.map(|at| at.0))
            .bind(&beginning.output)
            .bind(derived.asked_at.map(|at| at.0))
            .bind(run.branch.map(|branch| branch.0))
            .bind(run.replaces.map(|message| message.0))
            .bind(derived.wake_from.map(|at| at.0))
            .bind(run.owner.map(|owner| owner.0))
    });
    let empty = VALUES * (rows - beginnings.len());
    let bound = (0..empty).fold(bound, |query, _| query.bind(None::<i64>));
    let bound = beginnings.iter().fold(bound, |query, beginning| query.bind(beginning.run.id.0));
    let numbers: HashMap<Uuid, u32> = bound.fetch_all(tx).await?.into_iter().collect();
    let number = |beginning: &&Beginning| numbers.get(&beginning.run.id.0).copied().map(RunNumber);
    beginnings.iter().map(|beginning| number(beginning).ok_or(sqlx::Error::RowNotFound)).collect()
}
