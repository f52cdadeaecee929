//! Time limits of steps that nothing in memory waits for: questions to people, child runs.
//!
//! Limits stand in the runs' rows as times of the wall clock. While the server runs they are waited for by a clock that
//! nobody sets: a limit that was set for an hour comes in an hour.

use super::mailbox::Command;
use crate::{
    Engine, Error, Result,
    store::{
        self,
        runs::{self, Limit},
    },
};
use domain::id::{RunId, Timestamp};
use futures::StreamExt;
use std::{collections::HashMap, time::Duration};
use tokio::sync::mpsc;
use tokio_util::time::{DelayQueue, delay_queue::Key};

/// How many limits are read from the store at once.
const PAGE: u32 = 1_000;
/// How long to wait before limits that could not be read are read again.
const AGAIN: Duration = Duration::from_secs(1);
/// The longest wait of the queue (it holds no more than about two years): limits that come later are looked at again.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Where runs tell their next time limits.
pub(super) struct Timers {
    sender: mpsc::UnboundedSender<Timer>,
    receiver: std::sync::Mutex<Option<mpsc::UnboundedReceiver<Timer>>>,
}

struct Timer {
    run: RunId,
    /// None: the run has no limit any more.
    limit: Option<(Timestamp, Duration)>,
}

impl Default for Timers {
    fn default() -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        Self { sender, receiver: Some(receiver).into() }
    }
}

impl Timers {
    /// The run's next limit, as committed at `now`.
    pub fn set(&self, run: RunId, now: Timestamp, limit: Option<Timestamp>) {
        let limit = limit.map(|at| (at, Duration::from_millis(at.since(now))));
        // Nobody listens in a process that executes nothing.
        drop(self.sender.send(Timer { run, limit }));
    }
}

impl Engine {
    /// Tells runs when their time limits come, for as long as the server runs.
    pub(super) async fn watch_time_limits(self) {
        let stopping = self.0.runs.stopping();
        let receiver = self.0.runs.timers.receiver.lock().ok().and_then(|mut receiver| receiver.take());
        let Some(mut set) = receiver else { return };
        let mut limits = Limits::default();
        let read = async {
            while let Err(error) = self.read_time_limits(&mut limits).await {
                tracing::error!(%error, source = ?error, "time limits could not be read; trying again");
                tokio::time::sleep(AGAIN).await;
            }
        };
        tokio::select! {
            () = read => {}
            () = stopping.cancelled() => return,
        }
        loop {
            tokio::select! {
                timer = set.recv() => match timer {
                    Some(Timer { run, limit }) => limits.set(run, limit),
                    None => return,
                },
                Some(due) = limits.queue.next() => {
                    let (run, at, rest) = due.into_inner();
                    limits.keys.remove(&run);
                    if rest.is_zero() {
                        self.deliver(run, Command::LimitDue { at });
                    } else {
                        limits.set(run, Some((at, rest)));
                    }
                }
                () = stopping.cancelled() => return,
            }
        }
    }

    async fn read_time_limits(&self, limits: &mut Limits) -> Result<(), Error> {
        let mut after = None;
        loop {
            let page = runs::limits(self.0.store.read(), after, PAGE).await?;
            let now = store::now();
            for limit in &page {
                limits.set(limit.run, Some((limit.at, remaining(limit, now))));
            }
            match page.last() {
                Some(last) if page.len() == PAGE as usize => after = Some((last.at, last.run)),
                _ => return Ok(()),
            }
        }
    }
}

/// How long until the limit comes. One that began later than now was set by a clock that was ahead: it takes as long as it
/// was set for, and no longer.
fn remaining(limit: &Limit, now: Timestamp) -> Duration {
    let from = limit.from.filter(|from| *from > now).unwrap_or(now);
    Duration::from_millis(limit.at.since(from))
}

#[derive(Default)]
struct Limits {
    /// The run, its limit, and how long it has to wait when it leaves the queue.
    queue: DelayQueue<(RunId, Timestamp, Duration)>,
    keys: HashMap<RunId, Key>,
}

impl Limits {
    fn set(&mut self, run: RunId, limit: Option<(Timestamp, Duration)>) {
        if let Some(key) = self.keys.remove(&run) {
            self.queue.remove(&key);
        }
        if let Some((at, wait)) = limit {
            let now = wait.min(LONGEST);
            self.keys.insert(run, self.queue.insert((run, at, wait - now), now));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::mint;

    fn limit(at: i64, from: i64) -> Limit {
        Limit { run: RunId(mint()), at: Timestamp(at), from: Some(Timestamp(from)) }
    }

    #[test]
    fn a_limit_that_was_set_by_a_clock_ahead_takes_no_longer_than_it_was_set_for() {
        let now = Timestamp(1_000_000);
        assert_eq!(remaining(&limit(1_000_500, 999_000), now), Duration::from_millis(500));
        assert_eq!(remaining(&limit(900_000, 800_000), now), Duration::ZERO, "overdue");
        assert_eq!(remaining(&limit(4_600_500, 4_600_000), now), Duration::from_millis(500), "an hour ahead");
    }

    /// 10,000 limits, each told within its millisecond, by a clock that nobody sets; changed and removed ones not.
    #[tokio::test(start_paused = true)]
    async fn limits_come_when_they_are_due() {
        let mut limits = Limits::default();
        let start = tokio::time::Instant::now();
        let runs: Vec<_> = (0..10_000_u64).map(|_| RunId(mint())).collect();
        let wait = |n: usize| Duration::from_millis(5 * n as u64 % 40_000);
        for (n, run) in runs.iter().enumerate() {
            limits.set(*run, Some((Timestamp(n as i64), Duration::from_secs(900))));
            limits.set(*run, Some((Timestamp(n as i64), wait(n))));
        }
        limits.set(runs[7], None);
        let mut told = 0;
        while let Some(due) = limits.queue.next().await {
            let (run, Timestamp(n), _) = due.into_inner();
            assert_eq!(run, runs[n as usize]);
            let late = start.elapsed().saturating_sub(wait(n as usize));
            assert!(late <= Duration::from_millis(2), "{n} came {late:?} late");
            told += 1;
        }
        assert_eq!(told, runs.len() - 1);
    }
}
