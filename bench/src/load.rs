//! Load: runs launched in a closed loop or all at once, and how the clients learn of their ends.
//!
//! A client that launched a run follows its events as a stream, starting before the last event. The server then
//! answers one request per run and sends nothing unneeded, and the client learns of the end at once. Polling the run
//! or the list of runs was tried first: it cost the server a third of its time and reported the end later. The cost of
//! the stream is part of the figures, as for any client that waits for a result.
//!
//! A client that needs only the run's result sends `Prefer: wait` and needs one request instead of two; that is
//! measured separately.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use futures::future::try_join_all;

use crate::process::Product;
use crate::rest::Rest;

/// How the client that launches a run learns of its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// From a stream of its events.
    Stream,
    /// From the response to the launch: `Prefer: wait`.
    Answer,
}

/// The result of a closed loop.
pub struct Throughput {
    pub runs_per_second: f64,
    /// Processor time of the product's process only: launching, executing, and reporting the end.
    pub cpu_per_run: Duration,
    /// Durations from the request that launches a run to the notice of its end.
    pub took: Vec<Duration>,
}

/// Keeps `concurrency` runs in flight for about `window`: each run that ends is followed by another.
pub async fn closed_loop(
    rest: &Rest,
    product: &Product,
    notice: Notice,
    concurrency: usize,
    window: Duration,
) -> Result<Throughput> {
    let cpu = product.cpu()?;
    let began = Instant::now();
    let until = began + window;
    let took = try_join_all((0..concurrency).map(|_| lane(rest, notice, until))).await?.concat();
    let elapsed = began.elapsed();
    let runs = u32::try_from(took.len())?;
    ensure!(runs > 0, "no run ended");
    Ok(Throughput {
        runs_per_second: f64::from(runs) / elapsed.as_secs_f64(),
        cpu_per_run: (product.cpu()? - cpu) / runs,
        took,
    })
}

async fn lane(rest: &Rest, notice: Notice, until: Instant) -> Result<Vec<Duration>> {
    let mut took = Vec::new();
    while Instant::now() < until {
        took.push(one(rest, notice).await?);
    }
    Ok(took)
}

async fn one(rest: &Rest, notice: Notice) -> Result<Duration> {
    let began = Instant::now();
    match notice {
        Notice::Stream => {
            let launched = rest.execute().await?;
            rest.end_of(launched.run).await?;
        }
        Notice::Answer => rest.execute_and_wait().await?,
    }
    Ok(began.elapsed())
}

/// Launches `count` runs at once; returns the time from the first request to the notice of the last run's end.
pub async fn all_at_once(rest: &Rest, count: usize) -> Result<Duration> {
    let began = Instant::now();
    try_join_all((0..count).map(|_| one(rest, Notice::Stream))).await?;
    Ok(began.elapsed())
}
