//! Load: runs launched in a closed loop or all at once, and how their ends are noticed.
//!
//! The ends of all runs in flight are read from the list of runs, in one request however many there are, at an
//! interval that is short beside what a run then takes. That costs the server far less than a stream or a poll for
//! each run, and the more runs there are, the rarer it gets. The cost stays in the figures: it is a few per cent.
//! How long a run took is read from the server's own record of it, so that the interval is not part of it.

use std::collections::HashMap;
use std::convert::Infallible;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tokio::sync::{Mutex, Notify, oneshot};

use crate::process::Product;
use crate::rest::{Rest, Run, Status};

/// What a closed loop came to.
pub struct Throughput {
    pub runs_per_second: f64,
    /// Of the product's process alone, all of it: launching, executing, and telling the list.
    pub cpu_per_run: Duration,
    /// By the server's record, from acknowledgement to the last event.
    pub took: Vec<Duration>,
}

/// Keeps `concurrency` runs in flight for about `window`: each that ends is followed by another.
pub async fn closed_loop(
    rest: &Rest,
    product: &Product,
    concurrency: usize,
    window: Duration,
) -> Result<Throughput> {
    let watcher = Watcher::new(rest.clone(), concurrency);
    let cpu = product.cpu()?;
    let began = Instant::now();
    let until = began + window;
    let lanes = futures::future::try_join_all((0..concurrency).map(|_| lane(rest, &watcher, until)));
    let took: Vec<Duration> = tokio::select! {
        lanes = lanes => lanes?.concat(),
        never = watcher.watch() => match never? {},
    };
    let elapsed = began.elapsed();
    let runs = u32::try_from(took.len())?;
    ensure!(runs > 0, "no run ended");
    Ok(Throughput {
        runs_per_second: f64::from(runs) / elapsed.as_secs_f64(),
        cpu_per_run: (product.cpu()? - cpu) / runs,
        took,
    })
}

async fn lane(rest: &Rest, watcher: &Watcher, until: Instant) -> Result<Vec<Duration>> {
    let mut took = Vec::new();
    while Instant::now() < until {
        let launched = rest.execute().await?;
        took.push(completed(&watcher.end_of(launched.run).await?)?);
    }
    Ok(took)
}

/// Launches so many runs at once; the time from the first request to the last run's end.
pub async fn all_at_once(rest: &Rest, count: usize) -> Result<Duration> {
    let watcher = Watcher::new(rest.clone(), count);
    let began = (Instant::now(), jiff::Timestamp::now());
    let runs = futures::future::try_join_all((0..count).map(async |_| {
        let launched = rest.execute().await?;
        let run = watcher.end_of(launched.run).await?;
        completed(&run)?;
        Ok::<_, anyhow::Error>(run)
    }));
    let runs: Vec<Run> = tokio::select! {
        runs = runs => runs?,
        never = watcher.watch() => match never? {},
    };
    // Both clocks are this machine's, so the last end needs no noticing.
    let last = runs.iter().filter_map(|run| run.finished_at).max();
    Ok(last.map_or_else(
        || began.0.elapsed(),
        |last| last.duration_since(began.1).try_into().unwrap_or_default(),
    ))
}

fn completed(run: &Run) -> Result<Duration> {
    ensure!(run.status == Status::Completed, "run {} ended as {:?}", run.number, run.status);
    Ok(run.took().unwrap_or_default())
}

/// Tells each run in flight when it has ended.
struct Watcher {
    rest: Rest,
    interval: Duration,
    waiting: Mutex<HashMap<u32, oneshot::Sender<Run>>>,
    came: Notify,
}

impl Watcher {
    fn new(rest: Rest, concurrency: usize) -> Self {
        // A third of a millisecond per run in flight: at the target of 333 runs a second each of them takes nine times
        // as long.
        let interval = Duration::from_micros(333 * concurrency as u64);
        let interval = interval.clamp(Duration::from_millis(2), Duration::from_millis(25));
        Self { rest, interval, waiting: Mutex::default(), came: Notify::new() }
    }

    async fn end_of(&self, run: u32) -> Result<Run> {
        let (sender, ended) = oneshot::channel();
        self.waiting.lock().await.insert(run, sender);
        self.came.notify_one();
        Ok(ended.await?)
    }

    /// Reads the list as long as somebody waits. Ends only when it cannot.
    async fn watch(&self) -> Result<Infallible> {
        loop {
            let Some(oldest) = self.waiting.lock().await.keys().min().copied() else {
                self.came.notified().await;
                continue;
            };
            tokio::time::sleep(self.interval).await;
            self.look(oldest).await?;
        }
    }

    /// Goes through the list, newest first, down to the oldest run that is waited for.
    async fn look(&self, oldest: u32) -> Result<()> {
        let mut cursor = None;
        loop {
            let (runs, next) = self.rest.runs(cursor.as_deref()).await?;
            let reached = runs.last().is_none_or(|run| run.number <= oldest);
            let mut waiting = self.waiting.lock().await;
            for run in runs.into_iter().filter(|run| run.status != Status::Live) {
                if let Some(sender) = waiting.remove(&run.number) {
                    // Nobody listens only when the measurement was given up.
                    drop(sender.send(run));
                }
            }
            drop(waiting);
            match next {
                Some(next) if !reached => cursor = Some(next),
                _ => return Ok(()),
            }
        }
    }
}
