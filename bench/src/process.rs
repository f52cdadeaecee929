//! The two measured programs, each a separate process so that their costs are counted separately. Both end when this
//! process does, in whatever way.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

/// Maximum time for a program to report that it is ready, and to end.
const PATIENCE: Duration = Duration::from_secs(30);
/// The kernel's unit of processor time (`USER_HZ`, 100 per second on every Linux).
const TICK: Duration = Duration::from_millis(10);

/// The programs' folder: next to this one, unless `TROUPE_BIN` names another.
pub struct Programs {
    pub product: PathBuf,
    pub models: PathBuf,
}

impl Programs {
    pub fn find() -> Result<Self> {
        let here = std::env::current_exe().context("this program's own place")?;
        let beside = |name: &str| here.with_file_name(name);
        let product = std::env::var_os("TROUPE_BIN").map_or_else(|| beside("troupe"), PathBuf::from);
        let programs = Self { product, models: beside("scripted") };
        for path in [&programs.product, &programs.models] {
            ensure!(path.is_file(), "{} is missing; `make bench` builds it", path.display());
        }
        Ok(programs)
    }
}

/// The running product.
pub struct Product {
    child: Child,
    pub url: String,
    // Kept open, because the server fails to write to a closed pipe.
    _output: Lines<BufReader<ChildStdout>>,
}

impl Product {
    /// Starts the product on a free port; returns it with the time from its start to its first response.
    pub async fn start(program: &Path, data: &Path) -> Result<(Self, Duration)> {
        let began = Instant::now();
        let mut child = quiet(program, data)
            .args(["serve", "--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("{} could not be started", program.display()))?;
        let (url, output) = listening(&mut child, "Troupe is ready at ").await?;
        let product = Self { child, url, _output: output };
        let health = format!("{}/health", product.url);
        let client = reqwest::Client::new();
        while !client.get(&health).send().await.is_ok_and(|answer| answer.status().is_success()) {
            ensure!(began.elapsed() < PATIENCE, "the server does not answer at {health}");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok((product, began.elapsed()))
    }

    /// Stops the product as an operator would, and waits for its end.
    pub async fn stop(mut self) -> Result<()> {
        let pid = self.pid()?;
        let told = Command::new("kill").args(["-TERM", &pid.to_string()]).status().await?;
        ensure!(told.success(), "the server could not be told to stop");
        tokio::time::timeout(PATIENCE, self.child.wait()).await.context("the server did not stop")??;
        Ok(())
    }

    fn pid(&self) -> Result<u32> {
        self.child.id().context("the server has ended by itself")
    }

    /// Processor time so far, of all threads, in user and kernel mode.
    pub fn cpu(&self) -> Result<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid()?))?;
        // The second field is the program's name, which may contain any character; the last closing parenthesis ends
        // it.
        let after_name = stat.rsplit_once(')').context("a line of /proc without a name")?.1;
        let ticks = after_name.split_whitespace().skip(11).take(2).map(str::parse::<u32>);
        let ticks = ticks.collect::<Result<Vec<_>, _>>()?.into_iter().sum::<u32>();
        Ok(TICK * ticks)
    }

    /// A value of `/proc/PID/status` in megabytes: `VmRSS` is the current memory, `VmHWM` the peak.
    pub fn memory(&self, line: &str) -> Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()?))?;
        let found = status.lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(':'));
        let kilobytes = found.and_then(|text| text.split_whitespace().next()).context("no such line")?;
        Ok(kilobytes.parse::<f64>()? / 1024.0)
    }
}

/// Creates the benchmark's user with the product's command line; returns an API token.
pub async fn make_user(program: &Path, data: &Path, email: &str, password: &str) -> Result<String> {
    let mut child = quiet(program, data)
        .args(["user", "add", email, "--admin", "--password-stdin"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()?;
    let mut input = child.stdin.take().context("no way to give the password")?;
    input.write_all(format!("{password}\n").as_bytes()).await?;
    drop(input);
    ensure!(child.wait().await?.success(), "the user could not be made");
    let made =
        quiet(program, data).args(["token", "create", "--user", email, "--name", "bench"]).output().await?;
    ensure!(made.status.success(), "the token could not be made");
    Ok(String::from_utf8(made.stdout)?.trim().to_owned())
}

/// The product with its own data folder, without the settings of the surrounding environment.
fn quiet(program: &Path, data: &Path) -> Command {
    let mut command = Command::new(program);
    for name in ["PORT", "TROUPE_LISTEN", "DATABASE_URL", "RUST_LOG"] {
        command.env_remove(name);
    }
    command.env("TROUPE_DATA", data).stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    command
}

/// The scripted model server, without latency unless its script defines some.
pub struct Models {
    // The process ends when this is dropped.
    _child: Child,
    _output: Lines<BufReader<ChildStdout>>,
    url: String,
    client: reqwest::Client,
}

impl Models {
    pub async fn start(program: &Path) -> Result<Self> {
        let mut child =
            Command::new(program).stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        let (url, output) = listening(&mut child, "listening on ").await?;
        Ok(Self { _child: child, _output: output, url, client: reqwest::Client::new() })
    }

    pub fn base_url(&self) -> String {
        format!("{}/openai/v1", self.url)
    }

    pub async fn script(&self, rules: &Value) -> Result<()> {
        let answer = self.client.put(format!("{}/script", self.url)).json(rules).send().await?;
        answer.error_for_status()?;
        Ok(())
    }

    pub async fn clear_ledger(&self) -> Result<()> {
        self.client.delete(format!("{}/ledger", self.url)).send().await?.error_for_status()?;
        Ok(())
    }

    /// Every call since the ledger was cleared, in the order of arrival.
    pub async fn ledger(&self) -> Result<Vec<scripted::Entry>> {
        let answer = self.client.get(format!("{}/ledger", self.url)).send().await?;
        Ok(answer.error_for_status()?.json().await?)
    }
}

/// Reads a program's output until it names its address.
async fn listening(child: &mut Child, said: &str) -> Result<(String, Lines<BufReader<ChildStdout>>)> {
    let output = child.stdout.take().context("a program without output")?;
    let mut lines = BufReader::new(output).lines();
    let found = tokio::time::timeout(PATIENCE, async {
        while let Some(line) = lines.next_line().await? {
            if let Some(url) = line.strip_prefix(said) {
                return Ok(url.trim().to_owned());
            }
        }
        bail!("it ended before it listened")
    });
    let url = found.await.context("it did not listen in time")??;
    Ok((url, lines))
}
