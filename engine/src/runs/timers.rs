//! Time limits of steps that no task in memory waits for: questions to people, and child runs.
//!
//! Limits are stored in the runs' rows as wall-clock times. While the server runs, a monotonic clock measures them: a
//! limit of one hour is reached after one hour even if the wall clock is changed.

use super::mailbox::Command;
use crate::{
    Engine, Result,
    background::{BackgroundTask, Next},
    store::{
        self,
        runs::{self, Limit},
    },
};
use domain::id::{RunId, Timestamp};
use futures::StreamExt;
use std::{collections::HashMap, sync::PoisonError, time::Duration};
use tokio::sync::mpsc;
use tokio_util::time::{DelayQueue, delay_queue::Key};

/// How many limits are read from the store at once.
const PAGE: u32 = 1_000;
/// The longest wait in the queue, which holds no more than about two years. Later limits are queued again when it ends.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The channel on which runs announce their next time limits.
pub(super) struct Timers {
    sender: mpsc::UnboundedSender<Timer>,
    receiver: std::sync::Mutex<Option<mpsc::UnboundedReceiver<Timer>>>,
}

pub(super) struct Timer {
    run: RunId,
    /// None: the run has no limit any more.
    limit: Option<(Timestamp, Duration)>,
    /// Ignored if a limit of the run is known.
    if_missing: bool,
}

impl Timer {
    /// A limit from the store, in case it was never announced.
    pub fn missing(limit: &Limit, now: Timestamp) -> Self {
        Self { run: limit.run, limit: Some((limit.at, remaining(limit, now))), if_missing: true }
    }
}

impl Default for Timers {
    fn default() -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        Self { sender, receiver: Some(receiver).into() }
    }
}

impl Timers {
    /// Announces the run's next limit, as committed at `now`.
    pub fn set(&self, run: RunId, now: Timestamp, limit: Option<Timestamp>) {
        let limit = limit.map(|at| (at, Duration::from_millis(at.since(now))));
        self.send(Timer { run, limit, if_missing: false });
    }

    pub fn send(&self, timer: Timer) {
        // A process that executes no runs has no receiver.
        drop(self.sender.send(timer));
    }
}

impl Engine {
    /// See [`Timers::set`].
    pub(crate) fn set_timer(&self, run: RunId, now: Timestamp, limit: Option<Timestamp>) {
        self.0.runs.timers.set(run, now, limit);
    }
}

/// Wakes runs when their time limits are reached.
pub(crate) struct TimeLimits {
    announced: mpsc::UnboundedReceiver<Timer>,
    /// What the signal brought.
    events: Vec<TimerEvent>,
    limits: Limits,
    /// Whether the limits of earlier processes have been read.
    read: bool,
}

enum TimerEvent {
    Announced(Timer),
    /// The run, its limit, and the remaining wait.
    Due(RunId, Timestamp, Duration),
}

impl TimeLimits {
    /// None: the engine has one already.
    pub fn of(engine: &Engine) -> Option<Self> {
        let receiver = engine.0.runs.timers.receiver.lock();
        let announced = receiver.unwrap_or_else(PoisonError::into_inner).take()?;
        Some(Self { announced, events: Vec::new(), limits: Limits::default(), read: false })
    }

    async fn read(&mut self, engine: &Engine) -> Result<()> {
        let mut after = None;
        loop {
            let page = runs::limits(engine.0.store.read(), after, PAGE).await?;
            let now = store::now();
            for limit in &page {
                self.limits.set(limit.run, Some((limit.at, remaining(limit, now))));
            }
            match page.last() {
                Some(last) if page.len() == PAGE as usize => after = Some((last.at, last.run)),
                _ => return Ok(()),
            }
        }
    }

    fn handle(&mut self, event: TimerEvent, engine: &Engine) {
        match event {
            TimerEvent::Announced(timer) if timer.if_missing && self.limits.keys.contains_key(&timer.run) => {
            }
            TimerEvent::Announced(timer) => self.limits.set(timer.run, timer.limit),
            TimerEvent::Due(run, at, rest) => {
                self.limits.keys.remove(&run);
                if rest.is_zero() {
                    engine.deliver(run, Command::LimitDue { at });
                } else {
                    self.limits.set(run, Some((at, rest)));
                }
            }
        }
    }
}

impl BackgroundTask for TimeLimits {
    const NAME: &'static str = "time limits";

    async fn signal(&mut self) {
        tokio::select! {
            Some(timer) = self.announced.recv() => self.events.push(TimerEvent::Announced(timer)),
            Some(due) = self.limits.queue.next() => {
                let (run, at, rest) = due.into_inner();
                self.events.push(TimerEvent::Due(run, at, rest));
            }
            // The timers live as long as the engine.
            else => std::future::pending().await,
        }
    }

    async fn work(&mut self, engine: &Engine) -> Result<Next> {
        // Announcements are handled after what was read, because they are newer.
        if !self.read {
            self.read(engine).await?;
            self.read = true;
        }
        for event in std::mem::take(&mut self.events) {
            self.handle(event, engine);
        }
        Ok(Next::AtSignal)
    }
}

/// How long until the limit is reached. If its start is in the future, the wall clock was ahead when it was set: the
/// limit then takes its original duration.
fn remaining(limit: &Limit, now: Timestamp) -> Duration {
    let from = limit.from.filter(|from| *from > now).unwrap_or(now);
    Duration::from_millis(limit.at.since(from))
}

#[derive(Default)]
struct Limits {
    /// The run, its limit, and the remaining wait after it leaves the queue.
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

    /// Each of 10,000 limits is announced within its millisecond of the monotonic clock; changed and removed ones are
    /// not.
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
