//! The statement that stores the launches of many runs.

use super::statement::{StatementCache, TransactionBounds, shares};
use crate::store::launches::Beginning;
use domain::id::RunNumber;
use sqlx::SqliteConnection;
use std::{collections::HashMap, sync::LazyLock};
use uuid::Uuid;

/// The view that first batches of runs are inserted into. Its trigger writes all the rows of one launch.
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

/// Prepares the writer's connection.
pub async fn prepare(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    sqlx::query(BEGINNINGS).execute(connection).await?;
    Ok(())
}

pub(in crate::store) static TEXTS: LazyLock<StatementCache> = LazyLock::new(|| {
    StatementCache::new("beginning", VALUES, |rows| {
        format!("; SELECT id, number FROM run WHERE id IN ({})", vec!["?"; rows].join(", "))
    })
});

/// Stores the first batches and returns the run numbers in the same order. After an error, including a taken idempotency
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

pub async fn insert(
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
