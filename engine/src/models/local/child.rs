//! The process that runs `serve.py`: its start, its last output, its end.

use std::{
    collections::VecDeque,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde::Deserialize;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::{ChildStdin, ChildStdout, Command},
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{Failure, LocalModelConfig};

const SERVE: &str = include_str!("serve.py");

/// Generous, because `TROUPE_LOCAL_MODEL` may name a large file on a slow disk.
const START_LIMIT: Duration = Duration::from_secs(300);

/// How long a child may take to exit after its pipe has closed, before it is killed.
const LEAVE_LIMIT: Duration = Duration::from_secs(3);

/// How many lines of standard error are kept.
const LAST_LINES: usize = 30;

/// The environment variables that the child inherits. Not all of them: the environment holds provider keys.
const PASSED_ON: [&str; 6] = ["PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"];

pub(super) enum Ending {
    Stopped,
    Failed(Failure),
}

/// A child that serves requests. Dropping it kills the process.
pub(super) struct Child {
    process: Process,
    pid: u32,
    address: String,
}

struct Process {
    child: tokio::process::Child,
    /// The child exits when this closes, and so whenever this process dies.
    stdin: Option<ChildStdin>,
    last_lines: Arc<Mutex<VecDeque<String>>>,
    stderr_reader: JoinHandle<()>,
}

#[derive(Deserialize)]
struct Greeting {
    address: String,
}

impl Child {
    /// Starts the child; returns when the model is loaded and the port is open.
    pub(super) async fn start(config: &LocalModelConfig, stop: &CancellationToken) -> Result<Self, Ending> {
        if !config.model.is_file() {
            return Err(Ending::Failed(Failure {
                message: "The local model's file is missing. `make setup` installs it; TROUPE_LOCAL_MODEL names another."
                    .to_owned(),
                details: config.model.display().to_string(),
            }));
        }
        let (mut process, stdout) = Process::spawn(config).map_err(|error| {
            Ending::Failed(Failure {
                message: "The local model's runtime could not be started. `make setup` installs it."
                    .to_owned(),
                details: format!("{}: {error}", config.python.display()),
            })
        })?;
        let mut line = String::new();
        let mut stdout = BufReader::new(stdout);
        let greeting = tokio::select! {
            () = stop.cancelled() => {
                process.end().await;
                return Err(Ending::Stopped);
            }
            read = timeout(START_LIMIT, stdout.read_line(&mut line)) => read,
        };
        if greeting.is_err() {
            let _ = process.child.start_kill();
        } else if let Ok(Greeting { address }) = serde_json::from_str(&line) {
            let pid = process.child.id().unwrap_or_default();
            return Ok(Self { process, pid, address });
        }
        let failure = process.failure("The local model did not start").await;
        Err(Ending::Failed(failure))
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// `http://127.0.0.1:PORT`.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Returns when the process has exited, whether it was asked to or not.
    pub(super) async fn until_end(mut self, stop: &CancellationToken) -> Ending {
        tokio::select! {
            () = stop.cancelled() => {
                self.process.end().await;
                Ending::Stopped
            }
            _ = self.process.child.wait() => Ending::Failed(self.process.failure("The local model died").await),
        }
    }
}

impl Process {
    fn spawn(config: &LocalModelConfig) -> std::io::Result<(Self, ChildStdout)> {
        let mut command = Command::new(&config.python);
        command
            // Isolated: neither the working folder nor the user's packages can shadow a module.
            .args(["-I", "-c", SERVE])
            .arg(&config.model)
            .arg(config.threads.to_string())
            .arg(config.model_name())
            .env_clear()
            .envs(PASSED_ON.iter().filter_map(|name| Some((name, std::env::var_os(name)?))))
            // Threads that spin while they wait would occupy the server's processors.
            .env("OMP_WAIT_POLICY", "passive")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        // Ctrl-C in a terminal reaches the whole foreground process group; the server stops its child itself, last.
        #[cfg(unix)]
        command.process_group(0);
        let mut child = command.spawn()?;
        let missing = || std::io::Error::other("a pipe is missing");
        let stdin = child.stdin.take().ok_or_else(missing)?;
        let stdout = child.stdout.take().ok_or_else(missing)?;
        let stderr = child.stderr.take().ok_or_else(missing)?;
        let last_lines = Arc::new(Mutex::new(VecDeque::new()));
        let stderr_reader = tokio::spawn(keep_last_lines(stderr, last_lines.clone()));
        Ok((Self { child, stdin: Some(stdin), last_lines, stderr_reader }, stdout))
    }

    /// Asks the process to exit, and kills it if it does not.
    async fn end(&mut self) {
        self.stdin = None;
        if timeout(LEAVE_LIMIT, self.child.wait()).await.is_err() {
            let _ = self.child.kill().await;
        }
    }

    /// Ends the process, which may have sent nonsense, waits for its exit, and describes it.
    async fn failure(&mut self, what: &str) -> Failure {
        self.end().await;
        let how = match self.child.wait().await {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        };
        // Output written just before the exit may still be in the pipe.
        let _ = timeout(Duration::from_secs(1), &mut self.stderr_reader).await;
        let lines = self.last_lines.lock().unwrap_or_else(PoisonError::into_inner);
        Failure {
            message: format!("{what} ({how})."),
            details: lines.iter().map(String::as_str).collect::<Vec<_>>().join("\n"),
        }
    }
}

/// Reads all output to the end; otherwise the child would block on a full pipe.
async fn keep_last_lines(stderr: impl AsyncRead + Unpin, last_lines: Arc<Mutex<VecDeque<String>>>) {
    let mut stderr = BufReader::new(stderr);
    let mut line = Vec::new();
    while let Ok(1..) = stderr.read_until(b'\n', &mut line).await {
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        line.clear();
        tracing::debug!(target: "engine::models::local::child", "{text}");
        let mut lines = last_lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == LAST_LINES {
            lines.pop_front();
        }
        lines.push_back(text);
    }
}
