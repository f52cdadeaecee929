//! Scale: the cost of one large run, and of many runs and viewers.
//!
//! Durations of whole runs are those that a client sees, from the request that launches the run to the notice of its
//! end.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use futures::stream::{self, StreamExt, TryStreamExt};
use serde_json::{Value, json};

use crate::figures::{Figure, Sample, Unit};
use crate::process::{Models, Product};
use crate::rest::Rest;

/// Number of measurements of a whole run.
const ROUNDS: usize = 7;
/// Items of the widest step.
const WIDE: usize = 1_000;
/// Steps of the longest chain.
const CHAIN: usize = 2_000;
/// Number of runs that wait for a model at the same time.
const WAITING: usize = 1_000;
/// Number of those launched concurrently.
const LAUNCHERS: usize = 16;
/// Number of conversations with waiting runs, and of earlier messages in each.
const CONVERSATIONS: usize = 10;
const MESSAGES: usize = 200;
/// Number of runs in the measured list.
const LISTED: usize = 5_000;
/// Number of those launched concurrently.
const BATCH: usize = 200;
/// Number of requests for a list or a run.
const ASKED: usize = 100;
/// Number of stream connections opened in total, and at the same time.
const STREAMS: usize = 10_000;
const OPEN: usize = 200;

/// The clients and processes of the measurement.
pub struct Scale<'a> {
    pub rest: &'a Rest,
    pub models: &'a Models,
    pub product: &'a Product,
}

impl Scale<'_> {
    /// Eight parallel steps of 200 ms each, then an aggregate of them, 200 ms.
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

    /// A step for each of 1,000 items, with a model without latency; and the time to open that run.
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

    /// A chain of 2,000 steps, and the time to open its run, whose log has some 8,000 events.
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
        // A few at a time: a connection for each launch would use memory that waiting runs do not need.
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

    /// 1,000 free-text questions that wait for a model, in conversations of 200 messages of 2 KB each. The memory of a
    /// run is the part of its conversation that it sends.
    pub async fn waiting_asks(&self) -> Result<Vec<Figure>> {
        let message = "word ".repeat(400);
        self.models.script(&json!([{"text": message}])).await?;
        let talks = (0..CONVERSATIONS).map(|_| self.talk(&message));
        let conversations: Vec<_> = stream::iter(talks).buffer_unordered(LAUNCHERS).try_collect().await?;
        self.models.script(&json!([{"text": "A short answer.", "firstTokenMs": 60_000}])).await?;
        let asks = (0..WAITING).map(|n| self.rest.ask("And now?", Some(&conversations[n % CONVERSATIONS])));
        let launched: Vec<_> = stream::iter(asks).buffer_unordered(LAUNCHERS).try_collect().await?;
        // A provider that does not answer receives only a few calls at a time.
        tokio::time::sleep(Duration::from_secs(10)).await;
        let memory = self.product.memory("VmRSS")?;
        for run in launched {
            self.rest.cancel(run.run).await?;
        }
        self.quick().await?;
        let name =
            format!("memory while {WAITING} questions wait in conversations of {MESSAGES} messages of 2 KB");
        Ok(vec![Figure::new(name, memory, Unit::Megabytes).at_most(150.0)])
    }

    /// Creates a conversation in which all questions and answers are `message`; returns its id.
    async fn talk(&self, message: &str) -> Result<String> {
        let first = self.rest.ask(message, None).await?;
        self.rest.completed(first.run).await?;
        for _ in 1..MESSAGES / 2 {
            let next = self.rest.ask(message, Some(&first.task_id)).await?;
            self.rest.completed(next.run).await?;
        }
        Ok(first.task_id)
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

    /// Short-lived streams, a fifth of which are never read.
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

    /// Opens `count` streams of a run, reads the first piece of most, and closes them.
    async fn watch(&self, run: u32, count: usize) -> Result<()> {
        try_join_all((0..count).map(|index| self.rest.glance(run, index % 5 != 0))).await?;
        Ok(())
    }

    /// Removes the models' latency.
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
