//! What a turn of a run writes: its events, their texts, and the columns folded from them. One statement stores the
//! turns of many runs, however much they write: each separate statement would be a round trip to the connection's
//! thread, which costs more than the write itself.

use super::{
    Savepoint,
    files::{self, FileBase, NewFile},
    requests::{self, SettledRow},
    runs::Derived,
    statement::{StatementCache, TransactionBounds, shares},
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
use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

/// Longer texts (bytes) are inserted by a statement of their own: within JSON they would be copied twice more.
const LONG: usize = 32 * 1024;
/// A turn with more text (bytes) than this gets its own statement, because all rows of a shared statement are in memory
/// at once.
pub const SHARED: usize = 256 * 1024;

/// What a turn adds to its run's log, and what follows from it. It can be submitted again after a failed commit.
#[derive(Clone)]
pub struct LogAppend {
    pub run: RunId,
    pub project: ProjectId,
    pub task: TaskId,
    pub message: MessageId,
    /// The last sequence number before this turn: the fence.
    pub expected: u64,
    /// The time of all its events.
    pub at: Timestamp,
    pub events: Arc<Vec<Event>>,
    pub contents: Arc<Vec<(ContentId, String)>>,
    pub derived: Derived,
    /// Whether the run advanced with this turn. If so, it is no longer suspected of crashing the server.
    pub progress: bool,
    /// The message's new metadata, if it is to be updated.
    pub metadata: Option<Arc<MessageMetadata>>,
    /// The message's text, when the run has ended.
    pub output: Option<Arc<str>>,
    /// The change for lists, if the run's status changed.
    pub subject: Option<Subject>,
    /// The server that executes the run.
    pub owner: OwnerId,
    /// Requests to the run that this turn carries out or refuses.
    pub settled: Arc<Vec<SettledRow>>,
    /// Child runs to stop.
    pub stops: Arc<Vec<ChildStop>>,
    /// The file states on which this turn's writes are based. The turn is refused if one of these files was written
    /// since.
    pub bases: Arc<Vec<FileBase>>,
}

/// Child runs to stop in the same commit as their caller's turn.
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

/// The stored form of a run's turn. The task that queues it computes all of it, so the single writer only binds it.
pub struct LogRow {
    run: RunId,
    /// The last sequence number before this turn: the fence.
    expected: u64,
    /// The last sequence number after this turn.
    last: u64,
    at: Timestamp,
    project: ProjectId,
    message: MessageId,
    /// JSON, as `metadata` and `subject`.
    events: String,
    contents: Arc<Vec<(ContentId, String)>>,
    metadata: Option<String>,
    /// The message's text, when the run has ended.
    output: Option<Arc<str>>,
    /// The change for lists.
    subject: Option<String>,
    derived: Derived,
    progress: bool,
    files: Vec<NewFile>,
    owner: OwnerId,
    settled: Arc<Vec<SettledRow>>,
    stops: Arc<Vec<ChildStop>>,
    bases: Arc<Vec<FileBase>>,
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

    fn has_texts_in_place(&self) -> bool {
        self.contents.len() <= TEXTS_IN_PLACE
    }

    /// Whether the run fails with this turn; the user who started it gets an inbox item.
    fn has_failed(&self) -> bool {
        self.derived.status == RunStatus::Failed
    }
}

/// Columns of a turn, without its texts.
const COLUMNS: &str = "run_id, expected, last_seq, at, project_id, message_id, events, metadata, output, subject, status, \
     warnings, error, input_tokens, output_tokens, cost, finished_at, wake_at, asked_at, wake_from, progress, owner";
/// Columns of the view: those above, and an id and a body per text.
const VALUES: usize = 22 + 2 * TEXTS_IN_PLACE;
/// The most texts that are stored in the columns of a turn. If a turn has more, a separate statement stores them all.
const TEXTS_IN_PLACE: usize = 12;

/// The view that turns are inserted into. Its trigger writes all the rows of one turn, so one statement stores the
/// turns of many runs.
///
/// A run that waits for people has no owner: whichever server receives the answer continues it.
///
/// SQLite keeps a copy of every changed page for a statement that might have to undo itself half-way, and that is a
/// good part of the cost. It does so for a statement that raises ABORT, checks a foreign key, or calls a function
/// (`coalesce` does not count). This statement does none of that: when it is refused, the surrounding transaction or
/// savepoint is rolled back.
fn turns() -> String {
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
        "CREATE TEMP VIEW turn ({COLUMNS}{texts}) AS SELECT {nulls}; \
         CREATE TEMP TRIGGER turn_stored INSTEAD OF INSERT ON turn WHEN new.run_id IS NOT NULL BEGIN \
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
/// The error message of the trigger for a turn whose fence is stale.
const FENCED: &str = "fenced";

/// Prepares the writer's connection.
pub async fn prepare(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    sqlx::query(sqlx::AssertSqlSafe(turns())).execute(connection).await?;
    Ok(())
}

pub(super) static TEXTS: LazyLock<StatementCache> =
    LazyLock::new(|| StatementCache::new("turn", VALUES, |_| String::new()));

/// Stores the turns, of which there must be at least one. After an error the caller must roll back the transaction, if
/// one has begun.
pub async fn append_all(
    tx: &mut SqliteConnection,
    turns: &[&LogRow],
    bounds: TransactionBounds,
) -> Result<(), sqlx::Error> {
    for (share, bounds) in shares(turns, bounds) {
        insert(tx, share, bounds).await?;
    }
    Ok(())
}

/// Stores one turn. False: its fence is stale or one of its file bases has changed, and nothing was written.
pub async fn append(tx: &mut SqliteConnection, mut savepoint: Savepoint, turn: &LogRow) -> Result<bool> {
    savepoint.open(tx).await?;
    for base in turn.bases.iter() {
        if !base.is_newest(tx).await? {
            return Ok(false);
        }
    }
    match insert(tx, &[turn], TransactionBounds::Between).await {
        Ok(()) => {}
        Err(error) if is_fenced(&error) => return Ok(false),
        Err(error) => return Err(error.into()),
    }
    turn.changes().into_iter().for_each(wakes::note);
    if turn.has_failed() {
        sqlx::query("UPDATE run SET failed_for = started_by WHERE id = $1 AND caller_id IS NULL")
            .bind(turn.run.0)
            .execute(&mut *tx)
            .await?;
    }
    if !turn.has_texts_in_place() {
        sqlx::query("INSERT INTO content (id, run_id, body) SELECT unhex(key), $1, value FROM json_each($2)")
            .bind(turn.run.0)
            .bind(short(&turn.contents)?)
            .execute(&mut *tx)
            .await?;
        for (id, body) in long(&turn.contents) {
            content(tx, turn.run, *id, body).await?;
        }
    }
    for file in &turn.files {
        files::insert(tx, file).await?;
    }
    for ChildStop { of, request } in turn.stops.iter() {
        requests::insert_for_children(tx, turn.run, *of, request, turn.at).await?;
    }
    requests::settle(tx, &turn.settled).await?;
    Ok(true)
}

/// Whether the error is the trigger's refusal of a stale turn.
pub fn is_fenced(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| error.message() == FENCED)
}

async fn insert(
    tx: &mut SqliteConnection,
    turns: &[&LogRow],
    bounds: TransactionBounds,
) -> Result<(), sqlx::Error> {
    let (text, rows) = TEXTS.of(turns.len(), bounds);
    let bound = turns.iter().fold(sqlx::query(text), |query, turn| {
        let derived = &turn.derived;
        let query = query
            .bind(turn.run.0)
            .bind(turn.expected as i64)
            .bind(turn.last as i64)
            .bind(turn.at.0)
            .bind(turn.project.0)
            .bind(turn.message.0)
            .bind(&turn.events)
            .bind(turn.metadata.as_deref())
            .bind(turn.output.as_deref())
            .bind(turn.subject.as_deref())
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
            .bind(turn.progress)
            .bind(turn.owner.0);
        let texts = if turn.has_texts_in_place() { &turn.contents[..] } else { &[] };
        let ids = texts.iter().map(|(id, body)| (Some(id.0), Some(body.as_str())));
        let rest = std::iter::repeat_n((None, None), TEXTS_IN_PLACE - texts.len());
        ids.chain(rest).fold(query, |query, (id, body)| query.bind(id).bind(body))
    });
    let empty = VALUES * (rows - turns.len());
    (0..empty).fold(bound, |query, _| query.bind(None::<i64>)).execute(tx).await?;
    Ok(())
}

/// Consecutive events as JSON; one statement turns it into rows.
pub fn events(events: &[Event]) -> Result<String> {
    debug_assert!(events.windows(2).all(|two| (two[0].seq + 1, two[0].at) == (two[1].seq, two[1].at)));
    json(&events.iter().map(|event| &event.kind).collect::<Vec<_>>())
}

pub fn json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(Error::internal)
}

/// Texts by id, as JSON, without those that are [`long`].
pub fn short(contents: &[(ContentId, String)]) -> Result<String> {
    let short = contents.iter().filter(|content| !is_long(content));
    json(&short.map(|(id, body)| (id.0.as_simple().to_string(), body)).collect::<BTreeMap<_, _>>())
}

/// Texts that are inserted by a statement of their own.
pub fn long(contents: &[(ContentId, String)]) -> impl Iterator<Item = &(ContentId, String)> {
    contents.iter().filter(|content| is_long(content))
}

/// Long texts, and texts with a zero byte, which SQLite's JSON would cut short.
fn is_long((_, body): &(ContentId, String)) -> bool {
    body.len() > LONG || body.contains('\0')
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Store, mint};
    use domain::usage::Usage;
    use futures::future::join_all;
    use sqlx::{Connection, sqlite::SqliteConnectOptions};

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

    fn turn(run: RunId, expected: u64, texts: &[&str]) -> LogRow {
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

    /// Turns that wait together share statements. Each is written completely or, when its fence is stale, not at all,
    /// whatever happens to the other turns of the statement.
    #[tokio::test]
    async fn turns_that_are_stored_together_stand_or_fall_alone() {
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
            let turns = runs.iter().enumerate().map(|(n, run)| {
                let expected = match (refused, n % 10) {
                    (true, 0) => 1,
                    (true, _) | (false, 0) => 3,
                    (false, _) => 5,
                };
                store.append(turn(*run, expected, &texts(n)))
            });
            let stored = join_all(turns).await;
            for (n, stored) in stored.into_iter().enumerate() {
                assert_eq!(stored.unwrap(), !refused || n % 10 != 0, "turn {n}");
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
