//! The metadata of a run's assistant message: a bounded summary of the state, in the format that clients of messages
//! read.
//!
//! Invariant: it is a function of the state alone, so a message's stored metadata equals the fold of its run's log.

use super::{
    log::Level,
    phase::{Phase, RunStatus},
    state::{FILE_LIMIT, RunState},
    step::{StepState, StepStatus},
};
use crate::{id::Timestamp, key::RoleKey, role::Reason, usage::Usage};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageMetadata {
    pub orchestration_status: OrchestrationStatus,
    pub orchestration: Orchestration,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrchestrationStatus {
    /// Paths of the files the run wrote, at most 200.
    pub files: Vec<String>,
    /// The last [`super::LOG_LIMIT`] lines.
    pub log: Vec<LogEntry>,
    /// One entry per step of the template, in its order.
    pub steps: Vec<StepEntry>,
}

/// A log line as text: clients that read a message have no plan in which to look up step names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEntry {
    pub at: Timestamp,
    pub level: Level,
    pub text: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StepEntry {
    pub name: String,
    pub status: StepStatus,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<RoleKey>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// The number of the last attempt; 0 before the first.
    pub attempt: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// Seconds from the first attempt's start to the last one's end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Present for a step with `forEach` once its list is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<ItemCounts>,
    pub usage: Usage,
}

/// Progress of a step's items.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ItemCounts {
    pub total: u32,
    pub running: u32,
    pub completed: u32,
    pub failed: u32,
}

impl ItemCounts {
    pub fn of(runs: &[StepState]) -> Self {
        let mut counts = Self { total: runs.len() as u32, ..Self::default() };
        for run in runs {
            match run.status {
                StepStatus::Completed => counts.completed += 1,
                StepStatus::Failed => counts.failed += 1,
                StepStatus::Running | StepStatus::Waiting => counts.running += 1,
                StepStatus::Pending | StepStatus::Ready | StepStatus::Skipped | StepStatus::Cancelled => {}
            }
        }
        counts
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Orchestration {
    pub phase: Phase,
    pub status: RunStatus,
    /// Seconds.
    pub elapsed: f64,
    /// UTF-8 bytes of finished outputs and of files.
    pub bytes_generated: u64,
    pub files_requested: Vec<String>,
    pub warnings: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    pub usage: Usage,
    pub details: OrchestrationDetails,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OrchestrationDetails {
    /// At most 16 KB of the run's output.
    pub output: String,
}

fn seconds(ms: u64) -> f64 {
    ms as f64 / 1000.0
}

impl From<&RunState> for MessageMetadata {
    fn from(state: &RunState) -> Self {
        let steps = state.steps.iter().zip(&state.plan.steps).map(|(step, planned)| StepEntry {
            name: planned.name.clone(),
            status: step.status,
            role: step.role.as_ref().map(|role| role.key.clone()),
            reason: step.role.as_ref().map(|role| role.reason),
            attempt: step.attempts.last().map_or(0, |attempt| attempt.number),
            started_at: step.started_at(),
            duration: step.started_at().zip(step.finished_at()).map(|(from, to)| seconds(to.since(from))),
            error: (step.status == StepStatus::Failed)
                .then(|| step.failure().map(|failure| failure.message.clone()))
                .flatten(),
            items: step.items.as_ref().map(|items| ItemCounts::of(&items.runs)),
            usage: step.usage,
        });
        let log = state.log.iter().map(|line| LogEntry {
            at: line.at,
            level: line.kind.level(),
            text: line.text(state),
        });
        Self {
            orchestration_status: OrchestrationStatus {
                files: state.files.iter().take(FILE_LIMIT).map(|file| file.path.to_string()).collect(),
                log: log.collect(),
                steps: steps.collect(),
            },
            orchestration: Orchestration {
                phase: state.phase,
                status: state.status(),
                elapsed: seconds(state.elapsed_ms()),
                bytes_generated: state.bytes_generated,
                files_requested: state.files_requested.iter().map(ToString::to_string).collect(),
                warnings: state.warnings.iter().map(|warning| warning.text(state)).collect(),
                error: state.error.as_ref().map(|failure| failure.error.message.clone()),
                usage: state.usage,
                details: OrchestrationDetails {
                    output: state.output.as_ref().map_or_else(String::new, |output| output.shown.clone()),
                },
            },
        }
    }
}
