//! Load: runs launched in a closed loop or all at once, and how their ends are noticed.
//!
//! Whoever launched a run follows its events as a stream, from the one before the last on: the server then has one
//! request to answer per run, wakes nobody in vain, and the end is known at once. Asking again and again for a run or
//! for the list of runs was tried first; it cost the server a third of its time, and told of the end later. What the
//! stream costs stays in the figures, as it would for any client that waits for an answer.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use futures::future::try_join_all;

use crate::process::Product;
use crate::rest::Rest;

/// What a closed loop came to.
pub struct Throughput {
    pub runs_per_second: f64,
    /// Of the product's process alone, all of it: launching, executing, and telling the end.
    pub cpu_per_run: Duration,
    /// From the request that launches a run to the word of its end.
    pub took: Vec<Duration>,
}

/// Keeps `concurrency` runs in flight for about `window`: each that ends is followed by another.
pub async fn closed_loop(
    rest: &Rest,
    product: &Product,
    concurrency: usize,
    window: Duration,
) -> Result<Throughput> {
    let cpu = product.cpu()?;
    let began = Instant::now();
    let until = began + window;
    let took = try_join_all((0..concurrency).map(|_| lane(rest, until))).await?.concat();
    let elapsed = began.elapsed();
    let runs = u32::try_from(took.len())?;
    ensure!(runs > 0, "no run ended");
    Ok(Throughput {
        runs_per_second: f64::from(runs) / elapsed.as_secs_f64(),
        cpu_per_run: (product.cpu()? - cpu) / runs,
        took,
    })
}

async fn lane(rest: &Rest, until: Instant) -> Result<Vec<Duration>> {
    let mut took = Vec::new();
    while Instant::now() < until {
        took.push(one(rest).await?);
    }
    Ok(took)
}

async fn one(rest: &Rest) -> Result<Duration> {
    let began = Instant::now();
    let launched = rest.execute().await?;
    rest.end_of(launched.run).await?;
    Ok(began.elapsed())
}

/// Launches so many runs at once; the time from the first request to the word of the last run's end.
pub async fn all_at_once(rest: &Rest, count: usize) -> Result<Duration> {
    let began = Instant::now();
    try_join_all((0..count).map(|_| one(rest))).await?;
    Ok(began.elapsed())
}
