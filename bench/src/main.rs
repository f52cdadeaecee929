//! Measures the product on the wire: the release build, with durable commits, against a model server without latency.
//! Prints a table; fails only if something could not be measured, never for a slow figure.
//!
//! Everything runs on the loopback interface of this machine, in a temporary data folder. The load generator and the
//! model server share the machine with the product: with few cores, the rates are those of all three together, while
//! processor time is that of the product only.

mod figures;
mod load;
mod pages;
mod process;
mod rest;
mod scale;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::{Parser, ValueEnum};
use figures::{Figure, Sample, Table, Unit};
use load::Notice;
use pages::Visitor;
use process::{Models, Product, Programs};
use rest::Rest;
use scale::Scale;
use serde_json::json;

const EMAIL: &str = "bench@example.org";
const PASSWORD: &str = "a-long-enough-password";
/// Steps of the template.
const STEPS: u32 = 3;
/// Number of measured server starts.
const STARTS: usize = 5;
/// Number of concurrent runs that wait for a slow model.
const CROWD: usize = 300;
/// Number of requests per page.
const VISITS: usize = 200;
/// Lets the first runs fill caches and connection pools.
const WARM_UP: Duration = Duration::from_secs(1);

/// Measure the release build on the wire and print a table.
#[derive(Parser)]
struct Arguments {
    /// Measure only these (may be repeated).
    #[arg(long)]
    only: Vec<Part>,
    /// How long each load lasts.
    #[arg(long, default_value_t = 8)]
    seconds: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Cold start, and memory at rest.
    Start,
    /// Cost of a step in addition to its model call, when nothing else runs.
    Overhead,
    /// Runs in a closed loop, 1, 16 and 64 at once: followed as streams, and launched with `Prefer: wait`.
    Throughput,
    /// 300 runs at once on a model that takes a second.
    Crowd,
    /// Eight steps at once and an aggregate; 1,000 items at once; a chain of 2,000 steps.
    Large,
    /// 1,000 runs that wait, also in long conversations; 5,000 in a list; 10,000 streams that come and go.
    Many,
    /// Server time of a page's HTML.
    Pages,
    /// Size of the WebAssembly that the browser loads.
    Wasm,
}

// One thread: the other cores are for the product.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    // No call here is encrypted, but no HTTP client is made without it.
    drop(rustls::crypto::ring::default_provider().install_default());
    let measured = measure(&arguments).await?;
    println!("{}", Table(&measured));
    Ok(())
}

async fn measure(arguments: &Arguments) -> Result<Vec<Figure>> {
    let wanted = |part| arguments.only.is_empty() || arguments.only.contains(&part);
    let window = Duration::from_secs(arguments.seconds.max(1));
    let programs = Programs::find()?;
    let mut figures = Vec::new();
    if wanted(Part::Start) {
        say("start");
        figures.extend(start(&programs).await?);
    }
    if [Part::Overhead, Part::Throughput, Part::Crowd, Part::Large, Part::Many, Part::Pages]
        .into_iter()
        .any(wanted)
    {
        let bench = Bench::start(&programs).await?;
        if wanted(Part::Overhead) {
            say("overhead per step");
            figures.extend(bench.overhead(window).await?);
        }
        if wanted(Part::Throughput) {
            for concurrency in [1, 16, 64] {
                say(&format!("{concurrency} at once"));
                for notice in [Notice::Stream, Notice::Answer] {
                    figures.extend(bench.throughput(concurrency, notice, window).await?);
                }
            }
        }
        if wanted(Part::Crowd) {
            say(&format!("{CROWD} at once on a slow model"));
            figures.extend(bench.crowd().await?);
        }
        let scale = Scale { rest: &bench.rest, models: &bench.models, product: &bench.product };
        if wanted(Part::Large) {
            say("large runs");
            figures.extend(scale.parallel().await?);
            figures.extend(scale.fan_out().await?);
            figures.extend(scale.chain().await?);
        }
        if wanted(Part::Many) {
            say("many runs and watchers");
            figures.extend(scale.waiting().await?);
            figures.extend(scale.waiting_asks().await?);
            figures.extend(scale.lists().await?);
            figures.extend(scale.streams().await?);
        }
        if wanted(Part::Pages) {
            say("pages");
            figures.extend(bench.pages().await?);
        }
        figures.push(Figure::new(
            "memory after the load, peak",
            bench.product.memory("VmHWM")?,
            Unit::Megabytes,
        ));
        figures.push(Figure::new(
            "memory after the load, now",
            bench.product.memory("VmRSS")?,
            Unit::Megabytes,
        ));
        bench.product.stop().await?;
    }
    if wanted(Part::Wasm) {
        figures.extend(wasm(&programs)?);
    }
    Ok(figures)
}

/// Prints the progress to standard error; only the table goes to standard output.
fn say(what: &str) {
    eprintln!("measuring: {what}");
}

async fn start(programs: &Programs) -> Result<Vec<Figure>> {
    let (mut fresh, mut again) = (Vec::new(), Vec::new());
    let mut memory = Vec::new();
    for _ in 0..STARTS {
        let folder = tempfile::tempdir()?;
        let (product, time) = Product::start(&programs.product, folder.path()).await?;
        fresh.push(time);
        product.stop().await?;
        let (product, time) = Product::start(&programs.product, folder.path()).await?;
        again.push(time);
        // Waits until the memory that starting needed has been released, as far as it ever is.
        tokio::time::sleep(Duration::from_millis(500)).await;
        memory.push(product.memory("VmRSS")?);
        product.stop().await?;
    }
    memory.sort_by(f64::total_cmp);
    Ok(vec![
        Figure::milliseconds("cold start, new data folder, median", Sample::new(fresh).percentile(50)),
        Figure::milliseconds("cold start, data folder there, median", Sample::new(again).percentile(50)),
        Figure::new("memory at rest, without the model", memory[memory.len() / 2], Unit::Megabytes)
            .at_most(60.0),
    ])
}

/// The number of the last of these calls.
fn latest(calls: &[scripted::Entry]) -> u64 {
    calls.iter().map(|call| call.number).max().unwrap_or(0)
}

fn wasm(programs: &Programs) -> Result<Vec<Figure>> {
    let target = programs.product.parent().and_then(|folder| folder.parent());
    let site =
        std::env::var_os("LEPTOS_SITE_ROOT").map(Into::into).or(target.map(|target| target.join("site")));
    let sizes = pages::wasm_sizes(&site.context("no folder for the site")?)?;
    let Some((raw, brotli)) = sizes else {
        eprintln!("there is no built site, so nothing is said of its size; `make build` builds it");
        return Ok(Vec::new());
    };
    let kilobytes = |bytes: u64| bytes as f64 / 1000.0;
    Ok(vec![
        Figure::new("wasm, as it is", kilobytes(raw), Unit::Kilobytes),
        Figure::new("wasm, brotli", kilobytes(brotli), Unit::Kilobytes).at_most(700.0),
    ])
}

/// A product that is set up to run three steps on the scripted models.
struct Bench {
    models: Models,
    product: Product,
    rest: Rest,
    _data: tempfile::TempDir,
}

impl Bench {
    async fn start(programs: &Programs) -> Result<Self> {
        let data = tempfile::tempdir()?;
        let models = Models::start(&programs.models).await?;
        models.script(&json!([{"text": "A short answer."}])).await?;
        let (product, _) = Product::start(&programs.product, data.path()).await?;
        let token = process::make_user(&programs.product, data.path(), EMAIL, PASSWORD).await?;
        let rest = Rest::new(&product.url, token)?;
        rest.set_up(&models.base_url()).await?;
        load::closed_loop(&rest, &product, Notice::Stream, 4, WARM_UP).await?;
        Ok(Self { models, product, rest, _data: data })
    }

    /// One run after another. The model has no latency, so the whole duration of a run is overhead.
    async fn overhead(&self, window: Duration) -> Result<Vec<Figure>> {
        let before = latest(&self.models.ledger().await?);
        self.models.clear_ledger().await?;
        let alone = load::closed_loop(&self.rest, &self.product, Notice::Stream, 1, window).await?;
        let per_step = Sample::new(alone.took.iter().map(|took| *took / STEPS).collect());
        let calls = self.models.ledger().await?;
        let called = latest(&calls) - before;
        let due = alone.took.len() as u64 * u64::from(STEPS);
        ensure!(called == due, "the model was called {called} times for {due} steps");
        // The ledger drops the oldest calls, possibly in the middle of a run.
        let gaps = calls[calls.len() % STEPS as usize..]
            .chunks(STEPS as usize)
            .flat_map(|run| run.windows(2))
            .map(|two| Duration::from_micros(two[1].received_micros.saturating_sub(two[0].received_micros)));
        let gaps = Sample::new(gaps.collect());
        let figure = |name: &str, value| Figure::milliseconds(name.to_owned(), value);
        Ok(vec![
            figure("overhead per step, whole run / 3, p50", per_step.percentile(50)).at_most(2.0),
            figure("overhead per step, whole run / 3, p99", per_step.percentile(99)),
            figure("from one model call to the next, p50", gaps.percentile(50)).at_most(5.0),
            figure("from one model call to the next, p99", gaps.percentile(99)),
        ])
    }

    async fn throughput(&self, concurrency: usize, notice: Notice, window: Duration) -> Result<Vec<Figure>> {
        let measured = load::closed_loop(&self.rest, &self.product, notice, concurrency, window).await?;
        let runs = measured.runs_per_second;
        let took = Sample::new(measured.took);
        let how = match notice {
            Notice::Stream => "at once",
            Notice::Answer => "at once, Prefer: wait",
        };
        let name = |what: &str| format!("{concurrency} {how}: {what}");
        let mut figures = vec![
            Figure::new(name("runs"), runs, Unit::PerSecond),
            Figure::new(name("steps"), runs * f64::from(STEPS), Unit::PerSecond),
            Figure::milliseconds(name("processor time per run"), measured.cpu_per_run),
            Figure::milliseconds(name("a run takes, p50"), took.percentile(50)),
            Figure::milliseconds(name("a run takes, p99"), took.percentile(99)),
        ];
        if concurrency == 16 {
            let targets = |(index, figure): (usize, Figure)| match (index, notice) {
                (1, _) => figure.at_least(2000.0),
                (2, Notice::Stream) => figure.at_most(1.0),
                (2, Notice::Answer) => figure.at_most(0.34),
                _ => figure,
            };
            figures = figures.into_iter().enumerate().map(targets).collect();
        }
        Ok(figures)
    }

    async fn crowd(&self) -> Result<Vec<Figure>> {
        self.models.script(&json!([{"text": "A short answer.", "firstTokenMs": 1000}])).await?;
        let took = load::all_at_once(&self.rest, CROWD).await?;
        self.models.script(&json!([{"text": "A short answer."}])).await?;
        let name = format!("{CROWD} at once, three calls of 1 s: all ended after");
        Ok(vec![Figure::new(name, took.as_secs_f64(), Unit::Seconds).at_most(3.2)])
    }

    async fn pages(&self) -> Result<Vec<Figure>> {
        let launched = self.rest.execute().await?;
        let mut visitor = Visitor::new(&self.product.url)?;
        let sign_in = Sample::new(visitor.visit("/sign-in", VISITS).await?);
        visitor.sign_in(EMAIL, PASSWORD).await?;
        let path = format!("/p/{}/conversations/{}", rest::PROJECT, launched.task_id);
        let conversation = Sample::new(visitor.visit(&path, VISITS).await?);
        let figure = |name: &str, value| Figure::milliseconds(name.to_owned(), value);
        Ok(vec![
            figure("sign-in page, p50", sign_in.percentile(50)).at_most(20.0),
            figure("sign-in page, p99", sign_in.percentile(99)),
            figure("conversation page, p50", conversation.percentile(50)).at_most(20.0),
            figure("conversation page, p99", conversation.percentile(99)),
        ])
    }
}
