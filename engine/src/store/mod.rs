//! The database: one writer with group commit, a pool of readers, and one module of SQL per subject.
//!
//! Invariants: every write goes through [`Store::write`], so SQLite never reports "database is locked" to a command;
//! rows and SQL stay inside this module and its children.

pub(crate) mod accounts;
pub(crate) mod branches;
pub(crate) mod changes;
pub(crate) mod comparisons;
pub(crate) mod conversations;
pub(crate) mod dashboard;
pub(crate) mod files;
pub(crate) mod inbox;
pub(crate) mod launches;
pub(crate) mod log;
pub(crate) mod messages;
#[cfg(test)]
pub(crate) mod outage;
#[cfg(test)]
mod plans;
pub(crate) mod presets;
pub(crate) mod prices;
pub(crate) mod projects;
pub(crate) mod providers;
pub(crate) mod requests;
pub(crate) mod roles;
pub(crate) mod runs;
pub(crate) mod search;
mod search_index;
pub(crate) mod seen;
pub(crate) mod servers;
pub(crate) mod snapshots;
mod statement;
pub(crate) mod templates;
#[cfg(test)]
mod upgrade;
pub(crate) mod versions;
mod wakes;
mod writer;

pub(crate) use changes::insert as change;
use writer::Savepoint;

use crate::{Error, Result, StartError};
use domain::id::{ProjectId, RunNumber, Timestamp};
use futures::future::{BoxFuture, OptionFuture};
use launches::Beginning;
use sqlx::{
    Connection, SqliteConnection, SqlitePool,
    migrate::Migrator,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use std::{path::Path, time::Duration};
use tokio::sync::{MappedMutexGuard, Mutex, MutexGuard, watch};
use uuid::Uuid;

/// Size of the reader pool: pages need few readers, and each costs a thread.
const READERS: u32 = 4;
/// The database's file name in the data folder.
const FILE: &str = "troupe.db";
/// How long a command of another process (the command line next to a server) may hold the database.
const BUSY: Duration = Duration::from_secs(10);

static MIGRATIONS: Migrator = sqlx::migrate!("../migrations/sqlite");

/// Writes and rolls back. `BEGIN` alone is no test: where SQLite may not write, it opens the database read-only.
const TRY_TO_WRITE: &str = "BEGIN; PRAGMA user_version = 0; ROLLBACK";

pub(crate) struct Store {
    read: SqlitePool,
    /// See [`Store::quick`]. None: closed.
    quick: Mutex<Option<SqliteConnection>>,
    /// Writes the file of the full-text index. None: closed.
    index: Mutex<Option<SqliteConnection>>,
    writer: writer::Writer,
    #[cfg(test)]
    pub outage: outage::Outage,
}

impl Store {
    /// Whether [`Store::open`] would create or migrate the tables of the database.
    pub async fn is_behind(data: &Path) -> Result<bool, StartError> {
        let path = data.join(FILE);
        if !path.exists() {
            return Ok(true);
        }
        let options = SqliteConnectOptions::new().filename(path).busy_timeout(BUSY);
        let mut db = SqliteConnection::connect_with(&options).await?;
        let begun: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = '_sqlx_migrations')",
        )
        .fetch_one(&mut db)
        .await?;
        let newest: Option<i64> = match begun {
            true => {
                sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations").fetch_one(&mut db).await?
            }
            false => None,
        };
        db.close().await?;
        Ok(newest < MIGRATIONS.iter().map(|migration| migration.version).max())
    }

    /// Opens `troupe.db` in the data folder and migrates it.
    pub async fn open(data: &Path) -> Result<Self, StartError> {
        let options = SqliteConnectOptions::new()
            .filename(data.join(FILE))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY)
            .pragma("temp_store", "memory");
        let writer = options
            .clone()
            // Kibibytes. The ends of the tables, where runs write, stay cached.
            .pragma("cache_size", "-8000")
            // Pages. Every commit writes the same few pages, so rare checkpoints save most of that work.
            .pragma("wal_autocheckpoint", "4000");
        let mut writer = SqliteConnection::connect_with(&writer).await?;
        // A read-only database opens without an error.
        if let Err(error) = sqlx::query(TRY_TO_WRITE).execute(&mut writer).await {
            let path = data.join(FILE).display().to_string();
            return Err(match why_no_write(&error) {
                Some(why) => StartError::NoWrites { path, why },
                None => error.into(),
            });
        }
        MIGRATIONS.run(&mut writer).await?;
        log::prepare(&mut writer).await?;
        launches::prepare(&mut writer).await?;
        let index = search_index::open(data, &options).await?;
        let reader = options.pragma("query_only", "on");
        let folder = data.to_owned();
        let read = SqlitePoolOptions::new()
            .max_connections(READERS)
            // A file does not disconnect, and each test is a round trip to the connection's thread.
            .test_before_acquire(false)
            .after_connect(move |reader, _| {
                let folder = folder.clone();
                Box::pin(async move { search_index::attach(reader, &folder).await })
            })
            .connect_with(reader.clone())
            .await?;
        let quick = Mutex::new(Some(SqliteConnection::connect_with(&reader).await?));
        let index = Mutex::new(Some(index));
        Ok(Self {
            read,
            quick,
            index,
            writer: writer::Writer::spawn(writer),
            #[cfg(test)]
            outage: outage::Outage::new(reader).await,
        })
    }

    pub fn read(&self) -> &SqlitePool {
        #[cfg(test)]
        if let Some(broken) = self.outage.reader() {
            return broken;
        }
        &self.read
    }

    /// A reader for the point queries of every launch and every stream. A pool tests each returned connection, which
    /// takes as long as such a query; this connection needs no test.
    pub async fn quick(&self) -> Result<MappedMutexGuard<'_, SqliteConnection>> {
        MutexGuard::try_map(self.quick.lock().await, Option::as_mut)
            .map_err(|_| Error::Unavailable("the server is shutting down".to_owned()))
    }

    /// Runs `command` inside the writer's current transaction, under a savepoint of its own, and returns once the
    /// transaction is durable. An error rolls back this command alone.
    pub async fn write<T, F>(&self, command: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T>> + Send + 'static,
    {
        self.writer
            .run(move |tx, mut savepoint| {
                Box::pin(async move {
                    savepoint.open(tx).await?;
                    command(tx).await
                })
            })
            .await
    }

    /// Appends a turn to a run's log, with what follows from it. False: the fence refused it, and nothing was written.
    pub async fn append(&self, turn: log::LogRow) -> Result<bool> {
        if turn.is_plain() {
            return self.writer.append(turn).await;
        }
        self.writer
            .run(move |tx, savepoint| Box::pin(async move { log::append(tx, savepoint, &turn).await }))
            .await
    }

    /// See [`launches::begin`].
    pub async fn begin(&self, beginning: Beginning) -> Result<Option<RunNumber>> {
        if beginning.is_plain() {
            return self.writer.begin(beginning).await;
        }
        self.write(move |tx| Box::pin(async move { launches::begin(tx, Savepoint::Open, &beginning).await }))
            .await
    }

    /// Ticks after each commit of this process that changed something in the project. The tick carries no data: the
    /// receiver reads again.
    pub fn changes_of(&self, project: ProjectId) -> watch::Receiver<()> {
        self.writer.changes_of(project)
    }

    /// Wakes the followers of every project, because another server may have committed.
    pub fn wake_all(&self) {
        self.writer.wake_all();
    }

    /// Ticks after each commit. The tick carries no data: the receiver reads again.
    pub fn commits(&self) -> watch::Receiver<u64> {
        self.writer.commits()
    }

    /// Lets queued commands finish, then closes the database.
    pub async fn close(&self) {
        self.writer.close().await;
        self.close_index().await;
        let quick = self.quick.lock().await.take();
        if let Some(Err(error)) = OptionFuture::from(quick.map(SqliteConnection::close)).await {
            tracing::warn!(%error, "a reader did not close cleanly");
        }
        self.read.close().await;
    }
}

/// The reason why the database takes no writes, if that is the error.
pub(crate) fn why_no_write(error: &sqlx::Error) -> Option<&'static str> {
    let code: u32 = error.as_database_error()?.code()?.parse().ok()?;
    // SQLite's result codes: the low byte is the primary code.
    match code & 0xff {
        8 => Some("its file is read-only"),
        10 => Some("its disk does not work as it should"),
        13 => Some("its disk is full"),
        _ => None,
    }
}

/// Whether the error is about the database's state, which may recover, and not about the request.
pub(crate) fn is_passing(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(error) => {
            let code = error.code().and_then(|code| code.parse::<u32>().ok());
            // Busy, locked, no memory, read-only, interrupted, I/O, corrupt, full, cannot open, protocol, not a database.
            code.is_some_and(|code| matches!(code & 0xff, 5..=11 | 13..=15 | 26))
        }
        _ => false,
    }
}

/// The wall clock.
pub(crate) fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp(since.as_millis() as i64)
}

/// A fresh row id. Ids ascend with time, also within a millisecond.
pub(crate) fn mint() -> Uuid {
    Uuid::now_v7()
}
