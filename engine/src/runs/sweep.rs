//! The sweep makes lost deliveries harmless: a server regularly looks for runs that need work and that no server
//! executes. If no delivery is lost, it finds none.
//!
//! On a shared database, it also renews this server's lease and follows the commits of other servers.

use super::{mailbox::Command, timers::Timer};
use crate::{
    Engine, Result,
    background::{BackgroundTask, Next},
    store::{
        self, requests, runs,
        servers::{self, ChildCounts, LastEvent},
    },
};
use domain::id::{RunId, Timestamp};
use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

/// How many of the next time limits a sweep checks.
const LIMITS: u32 = 1_000;

/// How long an outcome is kept for an asker on another server, in milliseconds.
const OUTCOME_KEPT: i64 = 60_000;

/// How often a server sweeps, and whether it shares its database.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// The interval between sweeps.
    pub sweep: Duration,
    /// Set if other servers execute runs of the same database: how long a server may be silent before the others take
    /// its runs. None: this is the only server.
    pub lease: Option<Duration>,
}

impl Default for Pace {
    fn default() -> Self {
        Self { sweep: Duration::from_secs(10), lease: None }
    }
}

/// The interval between checks for commits of other servers.
const FOLLOW_EVERY: Duration = Duration::from_millis(100);

/// Looks for runs that need work and that no server executes, and renews this server's lease.
pub(crate) struct Sweep {
    every: Duration,
    /// The child counts that the callers were told at the last sweep.
    told: HashMap<RunId, ChildCounts>,
}

impl Sweep {
    pub fn new(engine: &Engine) -> Self {
        Self { every: engine.0.runs.pace.sweep, told: HashMap::new() }
    }
}

impl BackgroundTask for Sweep {
    const NAME: &'static str = "sweep";

    fn first(&self) -> Next {
        Next::After(self.every)
    }

    async fn work(&mut self, engine: &Engine) -> Result<Next> {
        engine.sweep(&mut self.told).await?;
        Ok(Next::After(self.every))
    }

    fn retry_after(&self) -> Duration {
        self.every
    }
}

/// Wakes followers of runs, and callers that wait for their ends, when another server has committed.
#[derive(Default)]
pub(crate) struct OtherServers {
    /// The version of the database's data at the last look.
    seen: Option<i64>,
}

impl BackgroundTask for OtherServers {
    const NAME: &'static str = "commits of other servers";

    async fn work(&mut self, engine: &Engine) -> Result<Next> {
        engine.follow_once(&mut self.seen).await?;
        Ok(Next::After(FOLLOW_EVERY))
    }

    fn retry_after(&self) -> Duration {
        FOLLOW_EVERY
    }
}

impl Engine {
    /// Registers this server as one that executes runs.
    pub(super) async fn join_servers(&self) -> Result<()> {
        let (server, pace) = (self.0.runs.owner(), self.0.runs.pace);
        let now = store::now();
        let until = lease_until(pace, now);
        let gone = pace.lease.map(|_| now);
        self.0
            .store
            .write(move |tx| {
                Box::pin(async move {
                    servers::forget(&mut *tx, gone).await?;
                    servers::lease(tx, server, until).await
                })
            })
            .await
    }

    /// Removes this server's registration, so that others may take its runs at once.
    pub(crate) async fn leave_servers(&self) {
        let server = self.0.runs.owner();
        if let Err(error) = self.0.store.write(move |tx| Box::pin(servers::leave(tx, server))).await {
            tracing::warn!(%error, source = ?error, "this server stays on the list of those that execute runs");
        }
    }

    /// `told`: the child counts that the callers were told at the last sweep.
    async fn sweep(&self, told: &mut HashMap<RunId, ChildCounts>) -> Result<()> {
        let (db, now, server) = (self.0.store.read(), store::now(), self.0.runs.owner());
        if self.0.runs.is_shared() {
            let (until, forgotten) = (lease_until(self.0.runs.pace, now), Timestamp(now.0 - OUTCOME_KEPT));
            self.0
                .store
                .write(move |tx| {
                    Box::pin(async move {
                        requests::forget_outcomes(&mut *tx, forgotten).await?;
                        servers::lease(tx, server, until).await
                    })
                })
                .await?;
        }
        // A failed read of one kind does not prevent the others.
        let mut due = BTreeSet::new();
        due.extend(found(requests::asked(db).await));
        due.extend(found(servers::unattended(db, now).await));
        let children: HashMap<_, _> = found(servers::callers(db).await).into_iter().collect();
        due.extend(
            children.iter().filter(|(run, counts)| told.get(run) != Some(counts)).map(|(run, _)| *run),
        );
        due.extend(told.keys().filter(|run| !children.contains_key(run)));
        *told = children;
        for run in due {
            self.deliver(run, Command::Wake);
        }
        for limit in found(runs::limits(db, None, LIMITS).await) {
            self.0.runs.timers.send(Timer::missing(&limit, now));
        }
        Ok(())
    }

    async fn follow_once(&self, seen: &mut Option<i64>) -> Result<()> {
        let version = store::data_version(&mut *self.0.store.quick().await?).await?;
        if *seen == Some(version) {
            return Ok(());
        }
        let watched = self.0.live.watched();
        let runs: Vec<_> = watched.keys().copied().collect();
        for LastEvent { run, seq, ended } in servers::last_events(self.0.store.read(), &runs).await? {
            if let Some(channel) = watched.get(&run) {
                channel.reached(seq, ended);
            }
        }
        self.0.store.wake_all();
        // After a failure, the next look reads the runs again, although nothing may have been committed since.
        *seen = Some(version);
        Ok(())
    }
}

/// On an unshared database the lock on the data folder shows that the server is alive, so its lease does not end.
fn lease_until(pace: Pace, now: Timestamp) -> Timestamp {
    pace.lease.map_or(Timestamp(i64::MAX), |lease| Timestamp(now.0 + lease.as_millis() as i64))
}

fn found<T>(read: Result<Vec<T>>) -> Vec<T> {
    read.unwrap_or_else(|error| {
        tracing::warn!(%error, source = ?error, "runs that no server executes could not be looked for");
        Vec::new()
    })
}

#[cfg(test)]
mod tests {
    use super::super::stage::Stage;
    use crate::live::{Ended, RunEnd};
    use futures::FutureExt;
    use serde_json::json;

    /// The database cannot be read when another server ends a run, and nothing is committed afterwards.
    #[tokio::test]
    async fn a_look_at_the_commits_of_other_servers_that_failed_is_repeated() {
        let stage = Stage::undelivered().await;
        let run = stage.launch("  - {name: A, prompt: A}\n", json!({})).await;
        let mut end = RunEnd::of(stage.engine.0.live.channel(stage.id(run).await));
        let mut seen = None;
        stage.engine.follow_once(&mut seen).await.unwrap();
        assert!(end.reached().now_or_never().is_none());
        let ends = sqlx::query("UPDATE run SET finished_at = 1 WHERE number = $1").bind(run.0);
        ends.execute(&mut stage.database().await).await.unwrap();
        stage.engine.0.store.outage.set(true);
        assert!(stage.engine.follow_once(&mut seen).await.is_err());
        stage.engine.0.store.outage.set(false);
        stage.engine.follow_once(&mut seen).await.unwrap();
        assert_eq!(end.reached().now_or_never(), Some(Ended::Stored));
    }
}
