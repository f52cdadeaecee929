//! A database that cannot be read, for tests of how runs behave meanwhile.

use sqlx::{SqlitePool, sqlite::SqliteConnectOptions};
use std::sync::atomic::{AtomicBool, Ordering};

pub(crate) struct Outage {
    /// A closed pool, which refuses every query.
    closed: SqlitePool,
    on: AtomicBool,
}

impl Outage {
    pub async fn new(reader: SqliteConnectOptions) -> Self {
        let closed = SqlitePool::connect_lazy_with(reader);
        closed.close().await;
        Self { closed, on: AtomicBool::new(false) }
    }

    pub fn set(&self, on: bool) {
        self.on.store(on, Ordering::Relaxed);
    }

    pub(super) fn reader(&self) -> Option<&SqlitePool> {
        self.on.load(Ordering::Relaxed).then_some(&self.closed)
    }
}
