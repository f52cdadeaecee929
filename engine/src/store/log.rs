//! What a run writes: its beginning, and each turn that follows. One statement text each, however much it writes: every
//! statement by itself would be a trip to the connection's thread and back, and those cost more than the writing.
//!
//! The parts of a text share its arguments. Each is guarded by the fence as it was before the text, so that a turn is
//! written whole or not at all.

use super::{
    Savepoint, opened,
    runs::{Derived, NewRun},
};
use crate::{Error, Result};
use domain::{
    event::{Event, EventKind},
    id::{ContentId, MessageId, ProjectId, RunId, RunNumber, TaskId},
    run::MessageMetadata,
    view::Subject,
};
use serde::Serialize;
use sqlx::{SqliteConnection, types::Json};

/// Longer texts (bytes) go in by themselves: within JSON they would be copied twice more.
const LONG: usize = 32 * 1024;

/// One turn of a run.
pub struct Append<'a> {
    pub run: RunId,
    pub project: ProjectId,
    pub message: MessageId,
    /// The log's end that this follows: the fence.
    pub expected: u64,
    pub events: &'a [Event],
    pub contents: &'a [(ContentId, String)],
    pub derived: &'a Derived,
    /// The message's metadata, when it is to be brought up to date, and its text when the run has ended.
    pub metadata: Option<&'a MessageMetadata>,
    pub output: Option<&'a str>,
    /// What lists are told.
    pub subject: Option<&'a Subject>,
}

/// False: the fence refused it, and nothing was written.
pub async fn append(tx: &mut SqliteConnection, savepoint: Savepoint, turn: &Append<'_>) -> Result<bool> {
    let Append { run, derived, .. } = turn;
    let last = turn.events.last().map_or(turn.expected, |event| event.seq);
    let subject = turn.subject.map(serde_json::to_string).transpose().map_err(Error::internal)?;
    let done = sqlx::query(savepoint.of(opened!(
        "INSERT INTO event (run_id, seq, at, body) \
         SELECT $1, value ->> 0, value ->> 1, value -> 2 FROM json_each($3) \
         WHERE (SELECT last_seq FROM run WHERE id = $1) = $2; \
         INSERT INTO content (id, run_id, body) SELECT unhex(value ->> 0), $1, value ->> 1 FROM json_each($4) \
         WHERE (SELECT last_seq FROM run WHERE id = $1) = $2; \
         UPDATE message SET metadata = $5, content = coalesce($6, content) \
         WHERE id = $7 AND $5 IS NOT NULL AND (SELECT last_seq FROM run WHERE id = $1) = $2; \
         INSERT INTO change (project_id, body) SELECT $8, $9 \
         WHERE $9 IS NOT NULL AND (SELECT last_seq FROM run WHERE id = $1) = $2; \
         UPDATE run SET last_seq = $10, status = $11, warnings = $12, error = $13, input_tokens = $14, \
         output_tokens = $15, finished_at = $16, wake_at = $17, asked_at = $18, cost = $19, \
         failed_for = CASE WHEN $11 = 'failed' AND caller_id IS NULL THEN started_by END \
         WHERE id = $1 AND last_seq = $2"
    )))
    .bind(run.0)
    .bind(turn.expected as i64)
    .bind(events(turn.events)?)
    .bind(short(turn.contents)?)
    .bind(turn.metadata.map(Json))
    .bind(turn.output)
    .bind(turn.message.0)
    .bind(turn.project.0)
    .bind(subject)
    .bind(last as i64)
    .bind(derived.status.as_str())
    .bind(derived.warnings)
    .bind(&derived.error)
    .bind(derived.usage.input_tokens as i64)
    .bind(derived.usage.output_tokens as i64)
    .bind(derived.finished_at.map(|at| at.0))
    .bind(derived.wake_at.map(|at| at.0))
    .bind(derived.asked_at.map(|at| at.0))
    .bind(derived.usage.cost.map(|cost| cost.0 as i64))
    .execute(&mut *tx)
    .await?;
    if done.rows_affected() == 0 {
        return Ok(false);
    }
    long(tx, *run, turn.contents).await?;
    Ok(true)
}

/// The first turn of a run, with all that comes into being with it.
pub struct Beginning<'a> {
    pub run: &'a NewRun,
    /// Of its conversation, if that is new, and the one above it.
    pub new_task: Option<(&'a str, Option<TaskId>)>,
    /// The user's message.
    pub content: &'a str,
    pub events: &'a [Event],
    pub contents: &'a [(ContentId, String)],
    pub derived: &'a Derived,
    pub metadata: &'a MessageMetadata,
    /// Of a run that has ended with its first turn.
    pub output: Option<&'a str>,
    /// Its number is filled in.
    pub subject: &'a Subject,
}

pub async fn begin(
    tx: &mut SqliteConnection,
    savepoint: Savepoint,
    beginning: &Beginning<'_>,
) -> Result<RunNumber> {
    let Beginning { run, derived, .. } = beginning;
    let (title, above) = beginning.new_task.unzip();
    let (key, digest) = run.idempotency.clone().unzip();
    let caller = run.caller.as_ref();
    let number: u32 = sqlx::query_scalar(savepoint.of(opened!(
        "INSERT INTO task (id, project_id, parent_id, title, created_at, updated_at) \
         SELECT $1, $2, $3, $4, $5, $5 WHERE $4 IS NOT NULL; \
         UPDATE project SET last_run = last_run + 1 WHERE id = $2; \
         INSERT INTO message (id, task_id, author, user_id, content, metadata, run_id, created_at, branch, replaces) \
         VALUES ($6, $1, 'user', $7, $8, NULL, NULL, $5, $35, $36), \
         ($9, $1, 'assistant', NULL, $33, $10, $11, $5, $35, NULL); \
         INSERT INTO run (id, project_id, number, template_id, template_key, template_version, template_name, task_id, \
         message_id, started_by, started_by_name, snapshot, status, warnings, last_seq, idempotency_key, \
         request_digest, created_at, wake_at, caller_id, caller_step, caller_attempt, caller_number, error, \
         finished_at, asked_at, failed_for) SELECT $11, $2, last_run, $12, $13, $14, $15, $1, $9, $7, $16, $17, $18, $19, $20, $21, $22, $5, \
         $23, $24, $25, $26, $27, $31, $32, $34, CASE WHEN $18 = 'failed' AND $24 IS NULL THEN $7 END \
         FROM project WHERE id = $2; \
         INSERT INTO template_use (template_id, version, runs) SELECT $12, $14, 1 WHERE $12 IS NOT NULL \
         ON CONFLICT (template_id, version) DO UPDATE SET runs = runs + 1; \
         INSERT INTO event (run_id, seq, at, body) \
         SELECT $11, value ->> 0, value ->> 1, value -> 2 FROM json_each($28); \
         INSERT INTO content (id, run_id, body) SELECT unhex(value ->> 0), $11, value ->> 1 FROM json_each($29); \
         INSERT INTO change (project_id, body) \
         SELECT id, json_set($30, '$.number', last_run) FROM project WHERE id = $2; \
         SELECT last_run FROM project WHERE id = $2"
    )))
    .bind(run.task.0)
    .bind(run.project.0)
    .bind(above.flatten().map(|task| task.0))
    .bind(title)
    .bind(run.at.0)
    .bind(run.snapshot.message.0)
    .bind(run.user.map(|user| user.0))
    .bind(beginning.content)
    .bind(run.message.0)
    .bind(Json(beginning.metadata))
    .bind(run.id.0)
    .bind(run.template_id.map(|id| id.0))
    .bind(run.template.key.as_ref())
    .bind(run.template.version)
    .bind(&run.template.name)
    .bind(&run.by)
    .bind(Json(&run.snapshot))
    .bind(derived.status.as_str())
    .bind(derived.warnings)
    .bind(beginning.events.len() as i64)
    .bind(key)
    .bind(digest)
    .bind(derived.wake_at.map(|at| at.0))
    .bind(caller.map(|caller| caller.run.0))
    .bind(caller.map(|caller| caller.step.to_string()))
    .bind(caller.map(|caller| caller.attempt))
    .bind(caller.map(|caller| caller.number.0))
    .bind(events(beginning.events)?)
    .bind(short(beginning.contents)?)
    .bind(Json(beginning.subject))
    .bind(&derived.error)
    .bind(derived.finished_at.map(|at| at.0))
    .bind(beginning.output.unwrap_or_default())
    .bind(derived.asked_at.map(|at| at.0))
    .bind(run.branch.map(|branch| branch.0))
    .bind(run.replaces.map(|message| message.0))
    .fetch_one(&mut *tx)
    .await?;
    long(tx, run.id, beginning.contents).await?;
    Ok(RunNumber(number))
}

/// Rows of the log as JSON, which one statement turns into rows.
fn events(events: &[Event]) -> Result<String> {
    #[derive(Serialize)]
    struct Stored<'e>(u64, i64, &'e EventKind);
    let rows: Vec<_> = events.iter().map(|event| Stored(event.seq, event.at.0, &event.kind)).collect();
    serde_json::to_string(&rows).map_err(Error::internal)
}

fn short(contents: &[(ContentId, String)]) -> Result<String> {
    let rows = contents.iter().filter(|(_, body)| body.len() <= LONG && !body.contains('\0'));
    let rows: Vec<_> = rows.map(|(id, body)| (id.0.as_simple().to_string(), body)).collect();
    serde_json::to_string(&rows).map_err(Error::internal)
}

/// What `short` leaves out: long texts, and those that SQLite's JSON would cut short.
async fn long(tx: &mut SqliteConnection, run: RunId, contents: &[(ContentId, String)]) -> Result<()> {
    for (id, body) in contents.iter().filter(|(_, body)| body.len() > LONG || body.contains('\0')) {
        sqlx::query("INSERT INTO content (id, run_id, body) VALUES ($1, $2, $3)")
            .bind(id.0)
            .bind(run.0)
            .bind(body)
            .execute(&mut *tx)
            .await?;
    }
    Ok(())
}
