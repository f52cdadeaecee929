//! The single writer: commands queue, and all that wait share the next transaction and its one fsync.
//!
//! Invariants: a command's caller gets a success only after the commit that made it durable; a command that fails or
//! panics is rolled back to its own savepoint; when the commit itself fails, every command in it fails.
//!
//! Batches and first batches of runs are most of what is written. Those that wait together are stored by one statement per
//! kind, before the other commands of the group: none of these has been answered yet, so any order is valid. If one row
//! is refused, each row is written again by itself, as a command.

use super::{beginnings, log_rows, statement::TransactionBounds, why_no_write};
use crate::{
    Error, Result,
    store::{
        launches::{self, Beginning},
        log,
        wakes::{Wakes, noting},
    },
};
use domain::id::{ProjectId, RunNumber};
use futures::{FutureExt, future::BoxFuture};
use sqlx::{Connection, SqliteConnection};
use std::{collections::BTreeSet, panic::AssertUnwindSafe, sync::Arc};
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

/// The most commands in one commit, so that none waits long for its answer.
const GROUP: usize = 256;
/// How often the writer yields to other tasks before it commits.
const YIELDS: usize = 4;
/// Capacity of the queue. When it is full, callers wait to queue, which is the back-pressure.
const QUEUE: usize = 4096;

pub(in crate::store) struct Writer {
    queue: Mutex<Option<mpsc::Sender<Queued>>>,
    sender: mpsc::WeakSender<Queued>,
    commits: watch::Receiver<u64>,
    wakes: Arc<Wakes>,
    task: Mutex<Option<JoinHandle<()>>>,
}

/// The statement that opens a command's savepoint and releases the one before it. A command runs it first.
///
/// Consecutive savepoints have different names: if one could not be opened, rolling back to it fails too, instead of
/// undoing the previous command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Savepoint {
    /// The first command's savepoint, opened together with the transaction.
    First,
    /// The first command's savepoint, after the rows that began the transaction.
    AfterRows,
    Odd,
    Even,
    /// The command has already opened its savepoint.
    Open,
}

impl Savepoint {
    pub async fn open(&mut self, tx: &mut SqliteConnection) -> Result<()> {
        let text = match self {
            Self::First => "BEGIN IMMEDIATE; SAVEPOINT even",
            Self::AfterRows => "SAVEPOINT even",
            Self::Odd => "RELEASE even; SAVEPOINT odd",
            Self::Even => "RELEASE odd; SAVEPOINT even",
            Self::Open => return Ok(()),
        };
        sqlx::query(text).execute(tx).await?;
        *self = Self::Open;
        Ok(())
    }

    const fn next(self) -> Self {
        match self {
            Self::First | Self::AfterRows | Self::Even => Self::Odd,
            Self::Odd | Self::Open => Self::Even,
        }
    }

    /// The statement that undoes the command.
    const fn undo(self) -> &'static str {
        match self {
            Self::First | Self::AfterRows | Self::Even => "ROLLBACK TO even",
            Self::Odd | Self::Open => "ROLLBACK TO odd",
        }
    }
}

/// A queued command: it runs inside the transaction and is answered after it.
trait Command: Send {
    /// Runs the command, which opens its savepoint. Returns whether it succeeded; the result is kept for `answer`.
    fn run<'c>(&'c mut self, tx: &'c mut SqliteConnection, savepoint: Savepoint) -> BoxFuture<'c, bool>;
    /// Answers the caller. `failed` is none when the commit succeeded.
    fn answer(self: Box<Self>, failed: Option<&str>);
}

/// An entry of the writer's queue.
enum Queued {
    Command(Box<dyn Command>),
    LogRow(Box<Row<log::LogRow>>),
    Beginning(Box<Row<Beginning>>),
}

/// A row that a statement can store together with others of its kind.
trait Storable: Send + Sync + 'static {
    type Answer: Send;

    fn store<'c>(
        &'c self,
        tx: &'c mut SqliteConnection,
        savepoint: Savepoint,
    ) -> BoxFuture<'c, Result<Self::Answer>>;
}

impl Storable for log::LogRow {
    /// False: the fence refused it.
    type Answer = bool;

    fn store<'c>(
        &'c self,
        tx: &'c mut SqliteConnection,
        savepoint: Savepoint,
    ) -> BoxFuture<'c, Result<bool>> {
        Box::pin(log::append(tx, savepoint, self))
    }
}

impl Storable for Beginning {
    /// None: its idempotency key is taken.
    type Answer = Option<RunNumber>;

    fn store<'c>(
        &'c self,
        tx: &'c mut SqliteConnection,
        savepoint: Savepoint,
    ) -> BoxFuture<'c, Result<Option<RunNumber>>> {
        Box::pin(launches::begin(tx, savepoint, self))
    }
}

/// A row that is stored together with others; as a [`Command`] it is stored by itself.
struct Row<S: Storable> {
    row: S,
    result: Option<Result<S::Answer>>,
    reply: oneshot::Sender<Result<S::Answer>>,
}

impl<S: Storable> Command for Row<S> {
    fn run<'c>(&'c mut self, tx: &'c mut SqliteConnection, savepoint: Savepoint) -> BoxFuture<'c, bool> {
        Box::pin(async move {
            let result = unharmed(self.row.store(tx, savepoint)).await;
            let succeeded = result.is_ok();
            self.result = Some(result);
            succeeded
        })
    }

    fn answer(self: Box<Self>, failed: Option<&str>) {
        answer(self.reply, self.result, failed);
    }
}

struct Closure<T, F> {
    command: Option<F>,
    result: Option<Result<T>>,
    reply: oneshot::Sender<Result<T>>,
}

impl<T, F> Command for Closure<T, F>
where
    T: Send + 'static,
    F: for<'c> FnOnce(&'c mut SqliteConnection, Savepoint) -> BoxFuture<'c, Result<T>> + Send + 'static,
{
    fn run<'c>(&'c mut self, tx: &'c mut SqliteConnection, savepoint: Savepoint) -> BoxFuture<'c, bool> {
        Box::pin(async move {
            let Some(command) = self.command.take() else { return false };
            let result = unharmed(async { command(tx, savepoint).await }).await;
            let succeeded = result.is_ok();
            self.result = Some(result);
            succeeded
        })
    }

    fn answer(self: Box<Self>, failed: Option<&str>) {
        answer(self.reply, self.result, failed);
    }
}

/// Catches a panic of the command. Its partial writes are in its savepoint, which is rolled back.
async fn unharmed<T>(command: impl Future<Output = Result<T>>) -> Result<T> {
    let result = AssertUnwindSafe(command).catch_unwind().await;
    let result = result.unwrap_or_else(|_| Err(Error::internal("a command of the writer panicked")));
    if let Err(error @ Error::Unavailable(_)) = &result {
        tracing::error!(%error, "a command failed");
    }
    result
}

fn answer<T>(reply: oneshot::Sender<Result<T>>, result: Option<Result<T>>, failed: Option<&str>) {
    let result = match (result, failed) {
        // A refusal may depend on writes of another command in the group, which are undone.
        (_, Some(reason)) => Err(Error::Unavailable(reason.to_owned())),
        (Some(result), None) => result,
        (None, None) => Err(Error::Unavailable("the command was not carried out".to_owned())),
    };
    // The caller may have gone away; its command was carried out regardless.
    drop(reply.send(result));
}

impl Writer {
    pub fn spawn(connection: SqliteConnection) -> Self {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let (tick, commits) = watch::channel(0);
        let wakes = Arc::new(Wakes::default());
        let task = tokio::spawn(work(connection, receiver, tick, wakes.clone()));
        Self {
            sender: sender.downgrade(),
            queue: Mutex::new(Some(sender)),
            commits,
            wakes,
            task: Mutex::new(Some(task)),
        }
    }

    pub async fn run<T, F>(&self, command: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection, Savepoint) -> BoxFuture<'c, Result<T>> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let closure = Closure { command: Some(command), result: None, reply };
        self.queue(Queued::Command(Box::new(closure)), answer).await
    }

    /// See [`log::append`]; for a batch that one statement writes.
    pub async fn append(&self, batch: log::LogRow) -> Result<bool> {
        self.store(batch, Queued::LogRow).await
    }

    /// See [`launches::begin`]; for a first batch that one statement writes.
    pub async fn begin(&self, beginning: Beginning) -> Result<Option<RunNumber>> {
        self.store(beginning, Queued::Beginning).await
    }

    async fn store<S: Storable>(
        &self,
        row: S,
        kind: impl FnOnce(Box<Row<S>>) -> Queued,
    ) -> Result<S::Answer> {
        let (reply, answer) = oneshot::channel();
        self.queue(kind(Box::new(Row { row, result: None, reply })), answer).await
    }

    async fn queue<T>(&self, queued: Queued, answer: oneshot::Receiver<Result<T>>) -> Result<T> {
        let closed = || Error::Unavailable("the server is shutting down".to_owned());
        let queue = self.sender.upgrade().ok_or_else(closed)?;
        queue.send(queued).await.map_err(|_| closed())?;
        drop(queue);
        answer.await.map_err(|_| closed())?
    }

    pub fn commits(&self) -> watch::Receiver<u64> {
        self.commits.clone()
    }

    pub fn changes_of(&self, project: ProjectId) -> watch::Receiver<()> {
        self.wakes.of(project)
    }

    pub fn wake_all(&self) {
        self.wakes.wake_all();
    }

    pub async fn close(&self) {
        self.queue.lock().await.take();
        if let Some(task) = self.task.lock().await.take()
            && let Err(error) = task.await
        {
            tracing::error!(%error, "the writer ended badly");
        }
    }
}

async fn work(
    mut connection: SqliteConnection,
    mut queue: mpsc::Receiver<Queued>,
    tick: watch::Sender<u64>,
    wakes: Arc<Wakes>,
) {
    let mut waiting = Vec::with_capacity(GROUP);
    while queue.recv_many(&mut waiting, GROUP).await > 0 {
        gather(&mut queue, &mut waiting).await;
        let mut group = Group::default();
        for queued in waiting.drain(..) {
            match queued {
                Queued::Command(command) => group.commands.push(command),
                Queued::LogRow(batch) => group.batches.push(*batch),
                Queued::Beginning(beginning) => group.beginnings.push(*beginning),
            }
        }
        let failed = match group.commit(&mut connection).await {
            Ok(()) => None,
            Err(error) => {
                tracing::error!(%error, commands = group.commands.len(), "a commit failed");
                // An open transaction would make every later BEGIN fail.
                if let Err(error) = sqlx::query("ROLLBACK").execute(&mut connection).await {
                    tracing::debug!(%error, "nothing to roll back");
                }
                let why = why_no_write(&error).unwrap_or("its database refuses it; the log says more");
                Some(format!("nothing can be stored just now: {why}"))
            }
        };
        tick.send_modify(|commits| *commits += 1);
        wakes.wake(&group.changed);
        group.answer(failed.as_deref());
    }
    if let Err(error) = connection.close().await {
        tracing::warn!(%error, "the database did not close cleanly");
    }
}

/// Adds commands that are about to be queued to the commit, since a commit costs as much as what it stores. Other ready
/// tasks run first as long as that yields more commands; the writer never waits for time to pass.
async fn gather(queue: &mut mpsc::Receiver<Queued>, waiting: &mut Vec<Queued>) {
    for _ in 0..YIELDS {
        tokio::task::yield_now().await;
        let before = waiting.len();
        while waiting.len() < GROUP
            && let Ok(more) = queue.try_recv()
        {
            waiting.push(more);
        }
        if waiting.len() == before {
            return;
        }
    }
}

/// The commands and rows that share a transaction.
#[derive(Default)]
struct Group {
    batches: Vec<Row<log::LogRow>>,
    beginnings: Vec<Row<Beginning>>,
    commands: Vec<Box<dyn Command>>,
    /// The projects that the transaction changes.
    changed: BTreeSet<ProjectId>,
}

impl Group {
    async fn commit(&mut self, connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        let mut savepoint = Savepoint::First;
        if self.store_rows(connection).await {
            if self.commands.is_empty() {
                return Ok(());
            }
            savepoint = Savepoint::AfterRows;
        }
        for command in &mut self.commands {
            let (succeeded, changed) = noting(command.run(connection, savepoint)).await;
            if succeeded {
                self.changed.extend(changed);
            } else {
                sqlx::query(savepoint.undo()).execute(&mut *connection).await?;
            }
            savepoint = savepoint.next();
        }
        sqlx::query("COMMIT").execute(&mut *connection).await?;
        Ok(())
    }

    /// Stores all batches and first batches with the first statements of the transaction, and commits if there are no other
    /// commands. If this fails, it returns false: nothing has been written, and the rows have become commands.
    async fn store_rows(&mut self, connection: &mut SqliteConnection) -> bool {
        let rows = self.batches.len() + self.beginnings.len();
        if rows == 0 {
            return false;
        }
        let stored = AssertUnwindSafe(self.try_rows(connection)).catch_unwind().await;
        match stored.unwrap_or_else(|_| Err(sqlx::Error::Protocol("it panicked".to_owned()))) {
            Ok(numbers) => {
                for batch in &mut self.batches {
                    self.changed.extend(batch.row.changes());
                    batch.result = Some(Ok(true));
                }
                for (beginning, number) in self.beginnings.iter_mut().zip(numbers) {
                    self.changed.insert(beginning.row.changes());
                    beginning.result = Some(Ok(Some(number)));
                }
                true
            }
            Err(error) => {
                // Fails by itself if no transaction is open.
                drop(sqlx::query("ROLLBACK").execute(&mut *connection).await);
                if !log_rows::is_fenced(&error) {
                    tracing::warn!(%error, rows, "what runs write could not be stored together");
                }
                let batches = self.batches.drain(..).map(|batch| -> Box<dyn Command> { Box::new(batch) });
                let beginnings = self.beginnings.drain(..).map(|row| -> Box<dyn Command> { Box::new(row) });
                self.commands.splice(0..0, batches.chain(beginnings));
                false
            }
        }
    }

    /// Stores the rows; returns the numbers of the new runs.
    async fn try_rows(&mut self, connection: &mut SqliteConnection) -> Result<Vec<RunNumber>, sqlx::Error> {
        let batches: Vec<_> = self.batches.iter().map(|queued| &queued.row).collect();
        let beginnings: Vec<_> = self.beginnings.iter().map(|queued| &queued.row).collect();
        let alone = self.commands.is_empty();
        log_rows::append_all(
            connection,
            &batches,
            TransactionBounds::new(true, alone && beginnings.is_empty()),
        )
        .await?;
        beginnings::begin_all(connection, &beginnings, TransactionBounds::new(batches.is_empty(), alone))
            .await
    }

    fn answer(self, failed: Option<&str>) {
        for batch in self.batches {
            Box::new(batch).answer(failed);
        }
        for beginning in self.beginnings {
            Box::new(beginning).answer(failed);
        }
        for command in self.commands {
            command.answer(failed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::future::join_all;
    use sqlx::SqlitePool;

    async fn writer() -> (Writer, SqlitePool, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let options = sqlx::sqlite::SqliteConnectOptions::new()
            .filename(folder.path().join("t.db"))
            .create_if_missing(true)
            .journal_mode(sqlx::sqlite::SqliteJournalMode::Wal);
        let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
        sqlx::query("CREATE TABLE number (n INTEGER UNIQUE)").execute(&mut connection).await.unwrap();
        let read = SqlitePool::connect_with(options).await.unwrap();
        (Writer::spawn(connection), read, folder)
    }

    async fn insert(writer: &Writer, n: i64) -> Result<()> {
        writer
            .run(move |tx, mut savepoint| {
                Box::pin(async move {
                    savepoint.open(tx).await?;
                    sqlx::query("INSERT INTO number VALUES ($1)").bind(n).execute(tx).await?;
                    Ok(())
                })
            })
            .await
    }

    async fn count(read: &SqlitePool) -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM number").fetch_one(read).await.unwrap()
    }

    #[tokio::test]
    async fn one_commands_failure_is_its_own_and_commits_are_shared() {
        let (writer, read, _folder) = writer().await;
        // Every number twice, all at once: of each pair exactly one succeeds, whichever commands share its commit.
        let results = join_all((0..200).map(|n| insert(&writer, n % 100))).await;
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 100);
        assert_eq!(count(&read).await, 100);
        assert!(*writer.commits().borrow() < 200, "nothing was grouped");
    }

    #[tokio::test]
    async fn a_command_that_panics_is_its_own_loss() {
        let (writer, read, _folder) = writer().await;
        let broken = writer.run(|tx, mut savepoint| {
            Box::pin(async move {
                savepoint.open(tx).await?;
                let done = sqlx::query("INSERT INTO number VALUES (1)").execute(tx).await?;
                assert_eq!(done.rows_affected(), 0, "this panic is a part of the test");
                Ok(())
            })
        });
        let (broken, beside) = tokio::join!(broken, insert(&writer, 2));
        assert!(matches!(broken, Err(Error::Internal(_))), "{broken:?}");
        beside.unwrap();
        insert(&writer, 3).await.unwrap();
        assert_eq!(count(&read).await, 2, "what the panicking command wrote is rolled back");
    }

    #[tokio::test]
    async fn a_command_that_is_rolled_back_leaves_nothing() {
        let (writer, read, _folder) = writer().await;
        let refused: Result<()> = writer
            .run(|tx, mut savepoint| {
                Box::pin(async move {
                    savepoint.open(tx).await?;
                    sqlx::query("INSERT INTO number VALUES (1)").execute(tx).await?;
                    Err(Error::Conflict("after all, no".to_owned()))
                })
            })
            .await;
        assert!(matches!(refused, Err(Error::Conflict(_))));
        assert_eq!(count(&read).await, 0);
        insert(&writer, 1).await.unwrap();
        writer.close().await;
        assert!(matches!(insert(&writer, 2).await, Err(Error::Unavailable(_))));
    }
}
