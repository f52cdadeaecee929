//! What a turn of a run writes: its events, their texts, and what is folded from them. One statement stores the turns of
//! many runs, however much they write: every statement by itself would be a trip to the connection's thread and back, and
//! those cost more than the writing.

use super::{
    Savepoint,
    files::{self, NewFile},
    runs::Derived,
    statement::{StatementCache, TransactionBounds, shares},
    wakes,
};
use crate::{Error, Result};
use domain::{
    event::{Event, EventKind},
    id::{ContentId, MessageId, ProjectId, RunId, TaskId, Timestamp},
    run::{MessageMetadata, RunStatus},
    view::Subject,
};
use serde::Serialize;
use sqlx::SqliteConnection;
use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

/// Longer texts (bytes) go in by themselves: within JSON they would be copied twice more.
const LONG: usize = 32 * 1024;
/// What has more text (bytes) than this has a statement of its own: all of it is in memory at once.
pub const SHARED: usize = 256 * 1024;

/// What a turn adds to its run's log, and what follows from it. It can be given again after a failed commit.
#[derive(Clone)]
pub struct LogAppend {
    pub run: RunId,
    pub project: ProjectId,
    pub task: TaskId,
    pub message: MessageId,
    /// The log's end that this follows: the fence.
    pub expected: u64,
    /// When all of its events happened.
    pub at: Timestamp,
    pub events: Arc<Vec<Event>>,
    pub contents: Arc<Vec<(ContentId, String)>>,
    pub derived: Derived,
    /// The run got further with it: it is no longer suspected of taking the server down.
    pub progress: bool,
    /// The message's metadata, when it is to be brought up to date.
    pub metadata: Option<Arc<MessageMetadata>>,
    /// The message's text, when the run has ended.
    pub output: Option<Arc<str>>,
    /// The status changed: lists want to know.
    pub subject: Option<Subject>,
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

/// A turn of a run as it is stored. Whoever queues it works it out; the one writer only hands it on.
pub struct LogRow {
    run: RunId,
    /// The log's end that this follows: the fence.
    expected: u64,
    /// The log's end with it.
    last: u64,
    at: Timestamp,
    project: ProjectId,
    message: MessageId,
    /// JSON, as the metadata and the subject.
    events: String,
    contents: Arc<Vec<(ContentId, String)>>,
    metadata: Option<String>,
    /// The message's text, when the run has ended.
    output: Option<Arc<str>>,
    /// What lists are told.
    subject: Option<String>,
    derived: Derived,
    progress: bool,
    files: Vec<NewFile>,
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
        })
    }

    /// Whether one statement writes all of it.
    pub fn is_plain(&self) -> bool {
        let texts: usize = self.contents.iter().map(|(_, body)| body.len()).sum();
        let output = self.output.as_ref().map_or(0, |output| output.len());
        let fits = self.has_texts_in_place() && self.events.len() + texts + output <= SHARED;
        fits && self.files.is_empty() && !self.has_failed()
    }

    /// The project whose lists are told.
    pub fn changes(&self) -> Option<ProjectId> {
        self.subject.as_ref().map(|_| self.project)
    }

    fn has_texts_in_place(&self) -> bool {
        self.contents.len() <= TEXTS_IN_PLACE
    }

    /// The run has failed with it: somebody is to be told.
    fn has_failed(&self) -> bool {
        self.derived.status == RunStatus::Failed
    }
}

/// Columns of a turn beside its texts.
const COLUMNS: &str = "run_id, expected, last_seq, at, project_id, message_id, events, metadata, output, subject, status, \
     warnings, error, input_tokens, output_tokens, cost, finished_at, wake_at, asked_at, wake_from, progress";
/// Values of a row: those, and each text with its id.
const VALUES: usize = 21 + 2 * TEXTS_IN_PLACE;
/// So many texts are among the values of a turn; of a turn with more, all have a statement of their own.
const TEXTS_IN_PLACE: usize = 12;

/// How turns are written: as rows of a view, whose trigger does what one of them takes. So one statement stores the turns
/// of many runs.
///
/// A statement that might have to undo itself half-way keeps a copy of every page that it changes, and that is a good part
/// of the work. SQLite takes a statement for one of those when it raises ABORT, checks a foreign key, or calls a function
/// (`coalesce` is none to it). This one does none of it: what is refused here is left to the transaction or the savepoint
/// around it.
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
         takes = CASE WHEN new.progress THEN 0 ELSE takes END WHERE id = new.run_id; \
         END"
    )
}
/// What the trigger says to a turn that the log has gone past.
const FENCED: &str = "fenced";

/// Readies the connection that writes.
pub async fn prepare(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    sqlx::query(sqlx::AssertSqlSafe(turns())).execute(connection).await?;
    Ok(())
}

pub(super) static TEXTS: LazyLock<StatementCache> =
    LazyLock::new(|| StatementCache::new("turn", VALUES, |_| String::new()));

/// Stores the turns, of which there is one at least. An error leaves a transaction that is to be undone, if it began.
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

/// Stores one turn. False: the fence refused it, and nothing was written.
pub async fn append(tx: &mut SqliteConnection, mut savepoint: Savepoint, turn: &LogRow) -> Result<bool> {
    savepoint.open(tx).await?;
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
    Ok(true)
}

/// Whether the log has gone past a turn.
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
            .bind(turn.progress);
        let texts = if turn.has_texts_in_place() { &turn.contents[..] } else { &[] };
        let ids = texts.iter().map(|(id, body)| (Some(id.0), Some(body.as_str())));
        let rest = std::iter::repeat_n((None, None), TEXTS_IN_PLACE - texts.len());
        ids.chain(rest).fold(query, |query, (id, body)| query.bind(id).bind(body))
    });
    let empty = VALUES * (rows - turns.len());
    (0..empty).fold(bound, |query, _| query.bind(None::<i64>)).execute(tx).await?;
    Ok(())
}

/// What follows one another in the log, as JSON: one statement turns it into rows.
pub fn events(events: &[Event]) -> Result<String> {
    debug_assert!(events.windows(2).all(|two| (two[0].seq + 1, two[0].at) == (two[1].seq, two[1].at)));
    json(&events.iter().map(|event| &event.kind).collect::<Vec<_>>())
}

pub fn json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(Error::internal)
}

/// StatementCache by their ids, as JSON: those that are not [`long`].
pub fn short(contents: &[(ContentId, String)]) -> Result<String> {
    let short = contents.iter().filter(|content| !is_long(content));
    json(&short.map(|(id, body)| (id.0.as_simple().to_string(), body)).collect::<BTreeMap<_, _>>())
}

/// StatementCache that go in by themselves.
pub fn long(contents: &[(ContentId, String)]) -> impl Iterator<Item = &(ContentId, String)> {
    contents.iter().filter(|content| is_long(content))
}

/// Long texts, and those that SQLite's JSON would cut short.
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

    /// Runs without what stands around them.
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
        })
        .unwrap()
    }

    /// Turns that wait together share statements: each is written whole or, when the log has gone past it, not at all,
    /// whatever becomes of those beside it.
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
            // Of the first hundred, each tenth comes late.
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
