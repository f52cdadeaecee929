//! The one writer: commands queue, and all that wait share the next transaction and its one fsync.
//!
//! Always true: a command's caller hears of success only after the commit that made it durable; a command that fails is
//! rolled back to its own savepoint, also when it panics; when the commit itself fails, every command in it failed.

use crate::{Error, Result};
use futures::{FutureExt, future::BoxFuture};
use sqlx::{Connection, SqliteConnection};
use std::panic::AssertUnwindSafe;
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

/// How many commands share a commit at most, so that none waits long for its answer.
const GROUP: usize = 256;
/// How many may wait; beyond it callers wait to queue, which is the back-pressure.
const QUEUE: usize = 4096;

pub(super) struct Writer {
    queue: Mutex<Option<mpsc::Sender<Box<dyn Command>>>>,
    sender: mpsc::WeakSender<Box<dyn Command>>,
    commits: watch::Receiver<u64>,
    task: Mutex<Option<JoinHandle<()>>>,
}

/// What opens a command's savepoint, and closes the one before it. A command executes it before anything else.
///
/// Savepoints that follow one another have other names: when one could not be opened, rolling back to it fails as
/// well, instead of undoing the command before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Savepoint {
    /// Of the first command, with the transaction.
    First,
    Odd,
    Even,
    /// The command has opened it.
    Open,
}

/// The texts of a command's first statements, one for each [`Savepoint`]. They go with it because each text is a trip to
/// the connection's thread.
macro_rules! opened {
    ($sql:literal) => {
        [
            concat!("BEGIN IMMEDIATE; SAVEPOINT even; ", $sql),
            concat!("RELEASE even; SAVEPOINT odd; ", $sql),
            concat!("RELEASE odd; SAVEPOINT even; ", $sql),
            $sql,
        ]
    };
}
pub(crate) use opened;

impl Savepoint {
    pub const fn of(self, opened: [&'static str; 4]) -> &'static str {
        opened[self as usize]
    }

    /// By itself, where a command does not begin with statements of its own text.
    pub async fn open(&mut self, tx: &mut SqliteConnection) -> Result<()> {
        if *self != Self::Open {
            sqlx::query(self.of(opened!(""))).execute(tx).await?;
            *self = Self::Open;
        }
        Ok(())
    }

    const fn next(self) -> Self {
        match self {
            Self::First | Self::Even => Self::Odd,
            Self::Odd | Self::Open => Self::Even,
        }
    }

    /// Undoes the command.
    const fn undo(self) -> &'static str {
        match self {
            Self::First | Self::Even => "ROLLBACK TO even",
            Self::Odd | Self::Open => "ROLLBACK TO odd",
        }
    }
}

/// A queued command: runs inside the transaction, answers after it.
trait Command: Send {
    /// Whether it succeeded; its result is kept for `answer`. It opens the savepoint.
    fn run<'c>(&'c mut self, tx: &'c mut SqliteConnection, savepoint: Savepoint) -> BoxFuture<'c, bool>;
    /// `committed` is none when the commit went through.
    fn answer(self: Box<Self>, failed: Option<&str>);
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
            // What a command leaves half done is in its savepoint, so nothing broken is seen after a panic.
            let result = AssertUnwindSafe(async { command(tx, savepoint).await }).catch_unwind().await;
            let result = result.unwrap_or_else(|_| Err(Error::internal("a command of the writer panicked")));
            if let Err(error @ Error::Unavailable(_)) = &result {
                tracing::error!(%error, "a command failed");
            }
            let succeeded = result.is_ok();
            self.result = Some(result);
            succeeded
        })
    }

    fn answer(self: Box<Self>, failed: Option<&str>) {
        let result = match (self.result, failed) {
            (Some(Ok(_)), Some(reason)) | (None, Some(reason)) => Err(Error::Unavailable(reason.to_owned())),
            (Some(result), _) => result,
            (None, None) => Err(Error::Unavailable("the command was not carried out".to_owned())),
        };
        // A caller that has gone away needs no answer; what it asked for is done all the same.
        drop(self.reply.send(result));
    }
}

impl Writer {
    pub fn spawn(connection: SqliteConnection) -> Self {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let (tick, commits) = watch::channel(0);
        let task = tokio::spawn(work(connection, receiver, tick));
        Self {
            sender: sender.downgrade(),
            queue: Mutex::new(Some(sender)),
            commits,
            task: Mutex::new(Some(task)),
        }
    }

    pub async fn run<T, F>(&self, command: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection, Savepoint) -> BoxFuture<'c, Result<T>> + Send + 'static,
    {
        let closed = || Error::Unavailable("the server is shutting down".to_owned());
        let (reply, answer) = oneshot::channel();
        let closure = Closure { command: Some(command), result: None, reply };
        let queue = self.sender.upgrade().ok_or_else(closed)?;
        queue.send(Box::new(closure)).await.map_err(|_| closed())?;
        drop(queue);
        answer.await.map_err(|_| closed())?
    }

    pub fn commits(&self) -> watch::Receiver<u64> {
        self.commits.clone()
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
    mut queue: mpsc::Receiver<Box<dyn Command>>,
    tick: watch::Sender<u64>,
) {
    let mut group = Vec::with_capacity(GROUP);
    while queue.recv_many(&mut group, GROUP).await > 0 {
        let failed = match commit(&mut connection, &mut group).await {
            Ok(()) => None,
            Err(error) => {
                tracing::error!(%error, commands = group.len(), "a commit failed");
                // An open transaction would make every later BEGIN fail.
                if let Err(error) = sqlx::query("ROLLBACK").execute(&mut connection).await {
                    tracing::debug!(%error, "nothing to roll back");
                }
                let why = super::why_no_write(&error).unwrap_or("its database refuses it; the log says more");
                Some(format!("nothing can be stored just now: {why}"))
            }
        };
        tick.send_modify(|commits| *commits += 1);
        for command in group.drain(..) {
            command.answer(failed.as_deref());
        }
    }
    if let Err(error) = connection.close().await {
        tracing::warn!(%error, "the database did not close cleanly");
    }
}

async fn commit(
    connection: &mut SqliteConnection,
    group: &mut [Box<dyn Command>],
) -> Result<(), sqlx::Error> {
    let mut savepoint = Savepoint::First;
    for command in group.iter_mut() {
        if !command.run(connection, savepoint).await {
            sqlx::query(savepoint.undo()).execute(&mut *connection).await?;
        }
        savepoint = savepoint.next();
    }
    sqlx::query("COMMIT").execute(&mut *connection).await?;
    Ok(())
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
        // Every number twice, all at once: of each pair exactly one succeeds, whatever shared its commit.
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
