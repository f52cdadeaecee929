//! Wide, long and many: what one large run costs, and what many runs and watchers do.
//!
//! Times of whole runs are those that a client sees, from the request that launches one to the word of its end.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use futures::stream::{self, StreamExt, TryStreamExt};
use serde_json::{Value, json};

use crate::figures::{Figure, Sample, Unit};
use crate::process::{Models, Product};
use crate::rest::Rest;

/// How often a whole run is measured.
const ROUNDS: usize = 7;
/// Items of the widest step.
const WIDE: usize = 1_000;
/// Steps of the longest chain.
const CHAIN: usize = 2_000;
/// Runs that wait for a model at once.
const WAITING: usize = 1_000;
/// How many of those are launched at a time.
const LAUNCHERS: usize = 16;
/// Runs in the list that is asked for.
const LISTED: usize = 5_000;
/// How many of those are launched at a time.
const BATCH: usize = 200;
/// How often a list or a run is asked for.
const ASKED: usize = 100;
/// Stream connections that come and go, and how many of them are open at once.
const STREAMS: usize = 10_000;
const OPEN: usize = 200;

/// What the product is measured with.
pub struct Scale<'a> {
    pub rest: &'a Rest,
    pub models: &'a Models,
    pub product: &'a Product,
}

impl Scale<'_> {
    /// Eight steps at once, 200 ms each, then an aggregate of them, 200 ms.
    pub async fn parallel(&self) -> Result<Vec<Figure>> {
        let parts =
            (1..=8).map(|n| json!({"name": format!("Part {n}"), "prompt": "Part", "parallelGroup": "all"}));
        let best = json!({"name": "Best", "uses": "aggregate"});
        let steps: Vec<_> = parts.chain([best]).collect();
        self.rest.template("parallel", &json!(steps)).await?;
        let call = json!({"function": "final", "args": {"text": "So."}}).to_string();
        self.models
            .script(&json!([
                {"lastUser": "### Results", "text": call, "firstTokenMs": 200},
                {"text": "A part.", "firstTokenMs": 200},
            ]))
            .await?;
        let mut took = Vec::new();
        for _ in 0..ROUNDS {
            took.push(self.whole("parallel", json!({})).await?.1);
        }
        self.quick().await?;
        let took = Sample::new(took).percentile(50);
        Ok(vec![
            Figure::milliseconds("8 steps at once and an aggregate, 200 ms each, p50", took).at_most(410.0),
        ])
    }

    /// A step for each of 1,000 items, answered at once; and how long it takes to open that run.
    pub async fn fan_out(&self) -> Result<Vec<Figure>> {
        let each = json!([{"name": "Each", "forEach": "context.input.items", "prompt": "Item {{ item }}"}]);
        self.rest.template("wide", &each).await?;
        let items: Vec<_> = (0..WIDE).collect();
        let (mut took, mut last) = (Vec::new(), 0);
        for _ in 0..ROUNDS {
            let (run, time) = self.whole("wide", json!({ "items": items })).await?;
            took.push(time);
            last = run;
        }
        let opened = self.asked(&format!("/runs/{last}")).await?;
        Ok(vec![
            Figure::new(
                format!("{WIDE} items at once, p50"),
                Sample::new(took).percentile(50).as_secs_f64(),
                Unit::Seconds,
            )
            .at_most(1.0),
            Figure::milliseconds(format!("a run of {WIDE} items opens, p50"), opened.percentile(50)),
        ])
    }

    /// A chain of 2,000 steps, and how long it takes to open its run: the log has some 8,000 events.
    pub async fn chain(&self) -> Result<Vec<Figure>> {
        let steps: Vec<_> =
            (0..CHAIN).map(|n| json!({"name": format!("Step {n}"), "prompt": "Go on"})).collect();
        self.rest.template("chain", &json!(steps)).await?;
        let (run, took) = self.whole("chain", json!({})).await?;
        let opened = self.asked(&format!("/runs/{run}")).await?;
        Ok(vec![
            Figure::milliseconds(format!("a chain of {CHAIN} steps, per step"), took / CHAIN as u32)
                .at_most(2.0),
            Figure::milliseconds(
                format!("its run, {} events, opens, p50", 4 + 4 * CHAIN),
                opened.percentile(50),
            )
            .at_most(50.0),
        ])
    }

    /// 1,000 runs that wait for a model.
    pub async fn waiting(&self) -> Result<Vec<Figure>> {
        self.models.script(&json!([{"text": "A short answer.", "firstTokenMs": 8000}])).await?;
        // A few at a time: a connection for each launch would be memory that no waiting run needs.
        let launches = stream::iter((0..WAITING).map(|_| self.rest.execute())).buffer_unordered(LAUNCHERS);
        let launched: Vec<_> = launches.try_collect().await?;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let memory = self.product.memory("VmRSS")?;
        for run in launched {
            self.rest.cancel(run.run).await?;
        }
        self.quick().await?;
        let name = format!("memory while {WAITING} runs wait for a model");
        Ok(vec![Figure::new(name, memory, Unit::Megabytes).at_most(200.0)])
    }

    /// The newest 50 of 5,000 runs, and one of them.
    pub async fn lists(&self) -> Result<Vec<Figure>> {
        let mut last = 0;
        while last < u32::try_from(LISTED)? {
            let launched = try_join_all((0..BATCH).map(|_| self.rest.execute())).await?;
            for run in launched {
                self.rest.end_of(run.run).await?;
                last = last.max(run.run);
            }
        }
        let list = self.asked("/runs").await?;
        let one = self.asked(&format!("/runs/{last}")).await?;
        Ok(vec![
            Figure::milliseconds(format!("the newest 50 of {LISTED} runs, p50"), list.percentile(50))
                .at_most(2.0),
            Figure::milliseconds("one run, p50".to_owned(), one.percentile(50)).at_most(2.0),
        ])
    }

    /// Streams that come and go; a fifth of them never read what they are sent.
    pub async fn streams(&self) -> Result<Vec<Figure>> {
        self.models.script(&json!([{"text": "word ".repeat(2000), "chunkSize": 5, "chunkMs": 10}])).await?;
        let mut run = self.rest.execute().await?.run;
        self.watch(run, OPEN * 2).await?;
        let before = self.product.memory("VmRSS")?;
        for round in 0..STREAMS / OPEN {
            if round % 10 == 9 {
                run = self.rest.execute().await?.run;
            }
            self.watch(run, OPEN).await?;
        }
        let after = self.product.memory("VmRSS")?;
        self.quick().await?;
        Ok(vec![
            Figure::new(format!("memory before {STREAMS} streams came and went"), before, Unit::Megabytes),
            Figure::new("and after them".to_owned(), after, Unit::Megabytes).at_most(before * 1.2),
        ])
    }

    /// Opens so many streams of a run, reads a little of most, and leaves.
    async fn watch(&self, run: u32, count: usize) -> Result<()> {
        try_join_all((0..count).map(|index| self.rest.glance(run, index % 5 != 0))).await?;
        Ok(())
    }

    /// Models answer at once again.
    async fn quick(&self) -> Result<()> {
        self.models.script(&json!([{"text": "A short answer."}])).await
    }

    async fn whole(&self, template: &str, input: Value) -> Result<(u32, Duration)> {
        let began = Instant::now();
        let run = self.rest.launch(template, &input).await?.run;
        self.rest.completed(run).await.with_context(|| format!("the template {template}"))?;
        Ok((run, began.elapsed()))
    }

    async fn asked(&self, path: &str) -> Result<Sample> {
        let mut took = Vec::new();
        for _ in 0..ASKED {
            let began = Instant::now();
            let bytes = self.rest.get(path).await?;
            ensure!(!bytes.is_empty(), "{path} answers nothing");
            took.push(began.elapsed());
        }
        Ok(Sample::new(took))
    }
}
