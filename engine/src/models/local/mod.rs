//! The local model: a small real model that needs no provider's key.
//!
//! This module owns the child process that serves the model (`serve.py`: llama.cpp behind an OpenAI-compatible endpoint
//! on a loopback port). The child is started on first use, and restarted when it is needed and has died; if it keeps
//! dying, restarts are delayed by a growing pause. It exits when its pipe from this process closes, so it does not
//! outlive a killed server. At most one child exists per [`LocalModel`], however many callers ask at once.

mod child;
mod config;

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

pub use config::LocalModelConfig;

use child::{Child, Ending};

/// Shown to a person when there is no local model.
const NOT_INSTALLED: &str = "The local model is not installed. `make setup` installs it.";

/// A child that lived this long was healthy: its death does not count with earlier ones.
const HEALTHY_AFTER: Duration = Duration::from_secs(60);

/// The longest pause before a restart.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A handle on the local model; clones share one child process, which ends with the last of them.
#[derive(Clone)]
pub struct LocalModel(Arc<Handle>);

struct Handle {
    config: Option<LocalModelConfig>,
    supervision: Arc<watch::Sender<Supervision>>,
}

/// Changed by a start (by a caller, from `Idle` or `Failed`) and by the supervising task afterwards, and nowhere else;
/// so at most one task supervises at any time.
struct Supervision {
    phase: Phase,
    /// Deaths in a row.
    failures: u32,
}

enum Phase {
    Idle,
    Starting { stop: CancellationToken },
    Running { stop: CancellationToken, pid: u32, address: String },
    Failed { failure: Failure, retry_at: Instant },
}

/// Why the child could not start, or died.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Failure {
    /// For people; without paths.
    message: String,
    /// For operators: the child's last output.
    details: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LocalModelStatus {
    /// `how` tells how to install it.
    NotInstalled {
        how: &'static str,
    },
    /// Starts with the first call.
    Idle,
    Starting,
    /// `address` is `http://127.0.0.1:PORT`.
    Running {
        pid: u32,
        address: String,
    },
    /// The next call tries again. `details`, the child's last output, are for operators: they may name paths.
    Failed {
        message: String,
        details: String,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LocalModelError {
    #[error("{NOT_INSTALLED}")]
    NotInstalled,
    /// It did not start, or died too often recently. `retry_in` is zero if the next call starts it again.
    #[error("{message}")]
    Failed { message: String, retry_in: Duration },
    #[error("The local model was stopped.")]
    Stopped,
}

impl LocalModel {
    /// Starts nothing. `None` means "not installed"; see [`LocalModelConfig::discover`].
    pub fn new(config: Option<LocalModelConfig>) -> Self {
        let supervision = Supervision { phase: Phase::Idle, failures: 0 };
        Self(Arc::new(Handle { config, supervision: Arc::new(watch::Sender::new(supervision)) }))
    }

    /// The base of the OpenAI-compatible endpoint, `http://127.0.0.1:PORT/v1/`. Starts the child if there is none, and
    /// waits until it has loaded the model (about a second for the default one). Callers may stop waiting at any time;
    /// the start continues.
    ///
    /// Needs a tokio runtime.
    ///
    /// # Errors
    /// [`LocalModelError::Failed`] at once during the pause after repeated deaths.
    pub async fn base_url(&self) -> Result<String, LocalModelError> {
        let config = self.0.config.as_ref().ok_or(LocalModelError::NotInstalled)?;
        let mut changes = self.0.supervision.subscribe();
        self.start_if_due(config);
        loop {
            match &changes.borrow_and_update().phase {
                Phase::Running { address, .. } => return Ok(format!("{address}/v1/")),
                Phase::Failed { failure, retry_at } => {
                    return Err(LocalModelError::Failed {
                        message: failure.message.clone(),
                        retry_in: retry_at.saturating_duration_since(Instant::now()),
                    });
                }
                Phase::Idle => return Err(LocalModelError::Stopped),
                Phase::Starting { .. } => {}
            }
            if changes.changed().await.is_err() {
                return Err(LocalModelError::Stopped);
            }
        }
    }

    pub fn status(&self) -> LocalModelStatus {
        if self.0.config.is_none() {
            return LocalModelStatus::NotInstalled { how: NOT_INSTALLED };
        }
        match &self.0.supervision.borrow().phase {
            Phase::Idle => LocalModelStatus::Idle,
            Phase::Starting { .. } => LocalModelStatus::Starting,
            Phase::Running { pid, address, .. } => {
                LocalModelStatus::Running { pid: *pid, address: address.clone() }
            }
            Phase::Failed { failure, .. } => LocalModelStatus::Failed {
                message: failure.message.clone(),
                details: failure.details.clone(),
            },
        }
    }

    /// The model's name, derived from its file's name: `smollm2-135m-instruct`. `None` if it is not installed.
    pub fn model_name(&self) -> Option<String> {
        self.0.config.as_ref().map(LocalModelConfig::model_name)
    }

    /// Stops the child and waits until it has exited. The next [`base_url`](Self::base_url) starts a new one.
    pub async fn stop(&self) {
        let mut changes = self.0.supervision.subscribe();
        let stop = changes.borrow_and_update().phase.stop_token();
        let Some(stop) = stop else { return };
        stop.cancel();
        // The sender lives in `self`, so this waits only for the change.
        let _ = changes.wait_for(|supervision| supervision.phase.stop_token().is_none()).await;
    }

    fn start_if_due(&self, config: &LocalModelConfig) {
        let stop = CancellationToken::new();
        let started = self.0.supervision.send_if_modified(|supervision| {
            let due = match &supervision.phase {
                Phase::Idle => true,
                Phase::Failed { retry_at, .. } => *retry_at <= Instant::now(),
                Phase::Starting { .. } | Phase::Running { .. } => false,
            };
            if due {
                supervision.phase = Phase::Starting { stop: stop.clone() };
            }
            due
        });
        if started {
            tokio::spawn(supervise(config.clone(), self.0.supervision.clone(), stop));
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if let Some(stop) = self.supervision.borrow().phase.stop_token() {
            stop.cancel();
        }
    }
}

impl Phase {
    /// Present exactly while a task supervises a child.
    fn stop_token(&self) -> Option<CancellationToken> {
        match self {
            Phase::Starting { stop } | Phase::Running { stop, .. } => Some(stop.clone()),
            Phase::Idle | Phase::Failed { .. } => None,
        }
    }
}

/// Supervises one life of the child, from its start to its end.
async fn supervise(
    config: LocalModelConfig,
    supervision: Arc<watch::Sender<Supervision>>,
    stop: CancellationToken,
) {
    let began = Instant::now();
    let (ending, lived) = match Child::start(&config, &stop).await {
        Ok(child) => {
            let (pid, address) = (child.pid(), child.address().to_owned());
            tracing::info!(pid, address, took = ?began.elapsed(), "the local model is up");
            let ready = Instant::now();
            supervision.send_modify(|supervision| {
                supervision.phase = Phase::Running { stop: stop.clone(), pid, address };
            });
            let ending = child.until_end(&stop).await;
            (ending, ready.elapsed())
        }
        Err(ending) => (ending, Duration::ZERO),
    };
    supervision.send_modify(|supervision| match ending {
        Ending::Stopped => {
            tracing::info!("the local model was stopped");
            *supervision = Supervision { phase: Phase::Idle, failures: 0 };
        }
        Ending::Failed(failure) => {
            let failures = if lived >= HEALTHY_AFTER { 1 } else { supervision.failures.saturating_add(1) };
            let pause = pause_after(failures);
            tracing::warn!(failures, ?pause, details = failure.details, "{}", failure.message);
            let retry_at = Instant::now() + pause;
            *supervision = Supervision { phase: Phase::Failed { failure, retry_at }, failures };
        }
    });
}

/// No pause after the first death, then one second, doubled with each further death.
fn pause_after(failures: u32) -> Duration {
    match failures {
        0 | 1 => Duration::ZERO,
        more => Duration::from_secs(1 << (more - 2).min(10)).min(LONGEST_PAUSE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_minute() {
        let pauses: Vec<u64> = (1..=9).map(|failures| pause_after(failures).as_secs()).collect();
        assert_eq!(pauses, [0, 1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(pause_after(u32::MAX), LONGEST_PAUSE);
    }
}
