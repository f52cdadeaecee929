//! The statement that stores the batches of many runs, however much they write: each separate statement would be a round
//! trip to the connection's thread, which costs more than the write itself.

use super::statement::{StatementCache, TransactionBounds, shares};
use crate::{
    Result,
    store::log::{self, LogRow, content},
};
use domain::id::{ContentId, RunId, StepRunId, Timestamp};
use sqlx::SqliteConnection;
use std::{collections::BTreeMap, sync::LazyLock};

/// Longer texts (bytes) are inserted by a statement of their own: within JSON they would be copied twice more.
const LONG: usize = 32 * 1024;
/// Columns of a batch, without its texts.
const COLUMNS: &str = "run_id, expected, last_seq, at, project_id, message_id, events, metadata, output, subject, status, \
     warnings, error, input_tokens, output_tokens, cost, finished_at, wake_at, asked_at, wake_from, progress, owner";
/// Columns of the view: those above, and an id and a body per text.
const VALUES: usize = 22 + 2 * TEXTS_IN_PLACE;
/// The most texts that are stored in the columns of a batch. If a batch has more, a separate statement stores them all.
pub const TEXTS_IN_PLACE: usize = 12;

/// The view that batches are inserted into. Its trigger writes all the rows of one batch, so one statement stores the
/// batches of many runs.
///
/// A run that waits for people has no owner: whichever server receives the answer continues it.
///
/// SQLite keeps a copy of every changed page for a statement that might have to undo itself half-way, and that is a
/// good part of the cost. It does so for a statement that raises ABORT, checks a foreign key, or calls a function
/// (`coalesce` does not count). This statement does none of that: when it is refused, the surrounding transaction or
/// savepoint is rolled back.
fn view() -> String {
    let texts: String = (0..TEXTS_IN_PLACE).map(|n| format!(", id{n}, body{n}")).collect();
    let nulls = vec!["NULL"; VALUES].join(", ");
    let contents: String = (0..TEXTS_IN_PLACE)
        .map(|n| {
            format!(
                "INSERT INTO content (id, run_id, body) \
                 SELECT new.id{n}, new.run_id, new.body{n} WHERE new.id{n} IS NOT NULL; "
            )
        })
        .collect();
    format!(
        "CREATE TEMP VIEW batch ({COLUMNS}{texts}) AS SELECT {nulls}; \
         CREATE TEMP TRIGGER batch_stored INSTEAD OF INSERT ON batch WHEN new.run_id IS NOT NULL BEGIN \
         SELECT raise(FAIL, '{FENCED}') \
         WHERE NOT EXISTS (SELECT 1 FROM run WHERE id = new.run_id AND last_seq = new.expected); \
         INSERT INTO event (run_id, seq, at, body) \
         SELECT new.run_id, new.expected + 1 + key, new.at, value FROM json_each(new.events); \
         {contents}\
         UPDATE message SET metadata = new.metadata, content = coalesce(new.output, content) \
         WHERE id = new.message_id AND new.metadata IS NOT NULL; \
         INSERT INTO change (project_id, body) SELECT new.project_id, new.subject WHERE new.subject IS NOT NULL; \
         UPDATE run SET last_seq = new.last_seq, status = new.status, warnings = new.warnings, error = new.error, \
         input_tokens = new.input_tokens, output_tokens = new.output_tokens, cost = new.cost, \
         finished_at = new.finished_at, wake_at = new.wake_at, asked_at = new.asked_at, wake_from = new.wake_from, \
         owner = CASE WHEN new.status = 'waiting' THEN NULL ELSE new.owner END, \
         takes = CASE WHEN new.progress THEN 0 ELSE takes END WHERE id = new.run_id; \
         END"
    )
}
/// The error message of the trigger for a batch whose fence is stale.
const FENCED: &str = "fenced";

/// Prepares the writer's connection.
pub async fn prepare(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    sqlx::query(sqlx::AssertSqlSafe(view())).execute(connection).await?;
    Ok(())
}

pub(in crate::store) static TEXTS: LazyLock<StatementCache> =
    LazyLock::new(|| StatementCache::new("batch", VALUES, |_| String::new()));

/// Stores the batches, of which there must be at least one. After an error the caller must roll back the transaction, if
/// one has begun.
pub async fn append_all(
    tx: &mut SqliteConnection,
    batches: &[&LogRow],
    bounds: TransactionBounds,
) -> Result<(), sqlx::Error> {
    for (share, bounds) in shares(batches, bounds) {
        insert(tx, share, bounds).await?;
    }
    Ok(())
}

/// Whether the error is the trigger's refusal of a stale batch.
pub fn is_fenced(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| error.message() == FENCED)
}

pub async fn insert(
    tx: &mut SqliteConnection,
    batches: &[&LogRow],
    bounds: TransactionBounds,
) -> Result<(), sqlx::Error> {
    let (text, rows) = TEXTS.of(batches.len(), bounds);
    let bound = batches.iter().fold(sqlx::query(text), |query, batch| {
        let derived = &batch.derived;
        let query = query
            .bind(batch.run.0)
            .bind(batch.expected as i64)
            .bind(batch.last as i64)
            .bind(batch.at.0)
            .bind(batch.project.0)
            .bind(batch.message.0)
            .bind(&batch.events)
            .bind(batch.metadata.as_deref())
            .bind(batch.output.as_deref())
            .bind(batch.subject.as_deref())
            .bind(derived.status.as_str())
            .bind(derived.warnings)
            .bind(derived.error.as_deref())
            .bind(derived.usage.input_tokens as i64)
            .bind(derived.usage.output_tokens as i64)
            .bind(derived.usage.cost.map(|cost| cost.0 as i64))
            .bind(derived.finished_at.map(|at| at.0))
            .bind(derived.wake_at.map(|at| at.0))
            .bind(derived.asked_at.map(|at| at.0))
            .bind(derived.wake_from.map(|at| at.0))
            .bind(batch.progress)
            .bind(batch.owner.0);
        let texts = if batch.has_texts_in_place() { &batch.contents[..] } else { &[] };
        let ids = texts.iter().map(|(id, body)| (Some(id.0), Some(body.as_str())));
        let rest = std::iter::repeat_n((None, None), TEXTS_IN_PLACE - texts.len());
        ids.chain(rest).fold(query, |query, (id, body)| query.bind(id).bind(body))
    });
    let empty = VALUES * (rows - batches.len());
    (0..empty).fold(bound, |query, _| query.bind(None::<i64>)).execute(tx).await?;
    Ok(())
}

/// Inserts texts of a run.
pub async fn insert_texts(
    tx: &mut SqliteConnection,
    run: RunId,
    texts: &[(ContentId, String)],
) -> Result<()> {
    sqlx::query("INSERT INTO content (id, run_id, body) SELECT unhex(key), $1, value FROM json_each($2)")
        .bind(run.0)
        .bind(short(texts)?)
        .execute(&mut *tx)
        .await?;
    for (id, body) in long(texts) {
        content(tx, run, *id, body).await?;
    }
    Ok(())
}

/// Inserts the same request for the live child runs of one attempt, or of all.
pub async fn insert_requests_to_children(
    tx: &mut SqliteConnection,
    caller: RunId,
    of: Option<(StepRunId, u32)>,
    body: &str,
    at: Timestamp,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO run_request (id, run_id, body, created_at) SELECT randomblob(16), id, $2, $3 FROM run \
         WHERE caller_id = $1 AND status IN ('queued', 'running', 'waiting') \
         AND ($4 IS NULL OR (caller_step = $4 AND caller_attempt = $5))",
    )
    .bind(caller.0)
    .bind(body)
    .bind(at.0)
    .bind(of.map(|(step, _)| step.to_string()))
    .bind(of.map(|(_, attempt)| attempt))
    .execute(tx)
    .await?;
    Ok(())
}

/// Texts by id, as JSON, without those that are [`long`].
pub fn short(contents: &[(ContentId, String)]) -> Result<String> {
    let short = contents.iter().filter(|content| !is_long(content));
    log::json(&short.map(|(id, body)| (id.0.as_simple().to_string(), body)).collect::<BTreeMap<_, _>>())
}

/// Texts that are inserted by a statement of their own.
pub fn long(contents: &[(ContentId, String)]) -> impl Iterator<Item = &(ContentId, String)> {
    contents.iter().filter(|content| is_long(content))
}

/// Long texts, and texts with a zero byte, which SQLite's JSON would cut short.
fn is_long((_, body): &(ContentId, String)) -> bool {
    body.len() > LONG || body.contains('\0')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{
        Store,
        log::{LogAppend, SHARED},
        mint,
        runs::Derived,
    };
    use domain::{
        event::{Event, EventKind},
        id::{MessageId, OwnerId, ProjectId, TaskId, Timestamp},
        run::RunStatus,
        usage::Usage,
    };
    use futures::future::join_all;
    use sqlx::{Connection, sqlite::SqliteConnectOptions};
    use std::sync::Arc;

    /// Rows for runs, without the rows that they refer to.
    async fn runs(data: &std::path::Path, count: i64) -> (Vec<RunId>, SqliteConnection) {
        let options = SqliteConnectOptions::new().filename(data.join("troupe.db")).foreign_keys(false);
        let mut db = SqliteConnection::connect_with(&options).await.unwrap();
        let runs: Vec<_> = (0..count).map(|_| RunId(mint())).collect();
        for (number, run) in (1_i64..).zip(&runs) {
            let row = "INSERT INTO run (id, project_id, number, template_key, template_version, template_name, task_id, \
                       message_id, started_by_name, snapshot, status, last_seq, created_at) \
                       VALUES ($1, zeroblob(16), $2, 'ask', 1, 'Ask', zeroblob(16), zeroblob(16), '', '{}', 'running', 3, 0)";
            sqlx::query(row).bind(run.0).bind(number).execute(&mut db).await.unwrap();
        }
        (runs, db)
    }

    fn batch(run: RunId, expected: u64, texts: &[&str]) -> LogRow {
        let at = Timestamp(7);
        let events = [1, 2].map(|n| Event {
            seq: expected + n,
            at,
            kind: EventKind::Cancelled { by: format!("event {n}") },
        });
        let derived = Derived {
            status: RunStatus::Cancelled,
            warnings: 2,
            error: None,
            usage: Usage::default(),
            finished_at: Some(at),
            wake_at: None,
            wake_from: None,
            asked_at: None,
        };
        LogRow::new(&LogAppend {
            run,
            project: ProjectId(mint()),
            task: TaskId(mint()),
            message: MessageId(mint()),
            expected,
            at,
            events: Arc::new(events.to_vec()),
            contents: Arc::new(texts.iter().map(|text| (ContentId(mint()), (*text).to_owned())).collect()),
            derived,
            progress: true,
            metadata: None,
            output: None,
            subject: None,
            owner: OwnerId(mint()),
            settled: Arc::default(),
            stops: Arc::default(),
            bases: Arc::default(),
        })
        .unwrap()
    }

    /// Batches that wait together share statements. Each is written completely or, when its fence is stale, not at all,
    /// whatever happens to the other batches of the statement.
    #[tokio::test]
    async fn batches_that_are_stored_together_stand_or_fall_alone() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).await.unwrap();
        let (runs, mut db) = runs(folder.path(), 100).await;
        let (long, longer) = ("x".repeat(LONG + 1), "x".repeat(SHARED + 1));
        // Each seventh has too much text for a shared statement, and each eleventh too many texts.
        let texts = |n: usize| match (n % 7, n % 11) {
            (0, _) => vec![longer.as_str()],
            (_, 0) => [vec!["short"; TEXTS_IN_PLACE], vec![&long, "\0"]].concat(),
            _ => vec!["short", &long, "\0"],
        };
        for refused in [true, false] {
            // Of the first hundred, each tenth has a stale fence.
            let batches = runs.iter().enumerate().map(|(n, run)| {
                let expected = match (refused, n % 10) {
                    (true, 0) => 1,
                    (true, _) | (false, 0) => 3,
                    (false, _) => 5,
                };
                store.append(batch(*run, expected, &texts(n)))
            });
            let stored = join_all(batches).await;
            for (n, stored) in stored.into_iter().enumerate() {
                assert_eq!(stored.unwrap(), !refused || n % 10 != 0, "batch {n}");
            }
        }
        let counts: Vec<(i64, i64, i64, i64)> = sqlx::query_as(
            "SELECT last_seq, warnings, (SELECT count(*) FROM event WHERE run_id = run.id), \
             (SELECT count(*) FROM content WHERE run_id = run.id) FROM run ORDER BY number",
        )
        .fetch_all(&mut db)
        .await
        .unwrap();
        for (n, counted) in counts.into_iter().enumerate() {
            let texts = texts(n).len() as i64;
            let expected = if n % 10 == 0 { (5, 2, 2, texts) } else { (7, 2, 4, 2 * texts) };
            assert_eq!(counted, expected, "run {n}");
        }
        store.close().await;
    }
}
