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
pub(crate) mod presets;
pub(crate) mod prices;
pub(crate) mod projects;
pub(crate) mod providers;
pub(crate) mod requests;
pub(crate) mod roles;
pub(crate) mod runs;
pub(crate) mod seen;
pub(crate) mod servers;
pub(crate) mod snapshots;
mod sqlite;
pub(crate) mod templates;
pub(crate) mod versions;
mod wakes;

pub(crate) use changes::insert as change;
use sqlite::writer::{Savepoint, Writer};
pub(crate) use sqlite::{data_version, is_behind, is_passing, search, why_no_write};

use crate::{Error, Result, StartError};
use domain::id::{ProjectId, RunNumber, Timestamp};
use futures::future::{BoxFuture, OptionFuture};
use launches::Beginning;
use sqlx::{Connection, SqliteConnection, SqlitePool, sqlite::SqliteConnectOptions};
use std::path::Path;
use tokio::sync::{MappedMutexGuard, Mutex, MutexGuard, watch};
use uuid::Uuid;

pub(crate) struct Store {
    read: SqlitePool,
    /// See [`Store::quick`]. None: closed.
    quick: Mutex<Option<SqliteConnection>>,
    /// Writes the file of the full-text index. None: closed.
    index: Mutex<Option<SqliteConnection>>,
    writer: Writer,
    #[cfg(test)]
    pub outage: outage::Outage,
}

impl Store {
    /// Opens the database in the data folder and migrates it.
    pub async fn open(data: &Path) -> Result<Self, StartError> {
        Self::open_with(data, |options| options).await
    }

    /// Like [`Store::open`], with changed options for every connection.
    async fn open_with(
        data: &Path,
        change: impl Fn(SqliteConnectOptions) -> SqliteConnectOptions,
    ) -> Result<Self, StartError> {
        let options = change(sqlite::options(data));
        let connections = sqlite::open(data, &options).await?;
        Ok(Self {
            read: connections.read,
            quick: Mutex::new(Some(connections.quick)),
            index: Mutex::new(Some(connections.index)),
            writer: Writer::spawn(connections.writer),
            #[cfg(test)]
            outage: outage::Outage::new(options).await,
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

    /// Appends a batch to a run's log, with what follows from it. False: the fence refused it, and nothing was written.
    pub async fn append(&self, batch: log::LogRow) -> Result<bool> {
        if batch.is_plain() {
            return self.writer.append(batch).await;
        }
        self.writer
            .run(move |tx, savepoint| Box::pin(async move { log::append(tx, savepoint, &batch).await }))
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

/// The wall clock.
pub(crate) fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp(since.as_millis() as i64)
}

/// A fresh row id. Ids ascend with time, also within a millisecond.
pub(crate) fn mint() -> Uuid {
    Uuid::now_v7()
}
