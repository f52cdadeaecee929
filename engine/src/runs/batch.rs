//! What one batch of a run adds to its log, and what is to be done once that is committed.

use crate::{
    models::{ModelClient, ModelRequest, ProviderLimits, Slot},
    store::runs::Derived,
};
use domain::{
    event::Event,
    file::FilePath,
    id::{ContentId, StepRunId, Timestamp},
    key::{RoleKey, TemplateKey},
    run::RunState,
};
use serde_json::Value;
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// Everything that happened to a run between two commits.
pub(super) struct Batch {
    pub at: Timestamp,
    pub events: Vec<Event>,
    pub contents: Vec<(ContentId, String)>,
    pub starts: Vec<Start>,
    pub waits: Vec<Wait>,
    pub timers: Vec<(StepRunId, u32, Timestamp)>,
    pub children: Vec<ChildStart>,
    /// Attempts whose child runs are to be stopped.
    pub stops: Vec<(StepRunId, u32)>,
    /// Files that it wrote, which nobody else sees yet.
    pub written: BTreeMap<FilePath, String>,
    /// The run's output in full, when this batch ends it.
    pub output: Option<String>,
}

/// A claimed attempt, to be executed after the commit.
pub(super) struct Start {
    pub step: StepRunId,
    pub attempt: u32,
    pub client: Arc<dyn ModelClient>,
    pub request: ModelRequest,
    pub slot: Slot,
    pub limit: Duration,
}

/// A claimed attempt that is a run of its own.
pub(super) struct ChildStart {
    pub step: StepRunId,
    pub attempt: u32,
    pub template: TemplateKey,
    pub input: Value,
    pub role_assignments: BTreeMap<String, RoleKey>,
}

/// An attempt that waits for a slot of its provider.
pub(super) struct Wait {
    pub step: StepRunId,
    pub attempt: u32,
    pub limits: Arc<ProviderLimits>,
}

impl Batch {
    pub fn new(at: Timestamp) -> Self {
        Self {
            at,
            events: Vec::new(),
            contents: Vec::new(),
            starts: Vec::new(),
            waits: Vec::new(),
            timers: Vec::new(),
            children: Vec::new(),
            stops: Vec::new(),
            written: BTreeMap::new(),
            output: None,
        }
    }
}

pub(super) fn derived(state: &RunState) -> Derived {
    Derived {
        status: state.status(),
        warnings: state.warnings.len() as u32,
        error: state.error.as_ref().map(|failure| failure.error.message.clone()),
        usage: state.usage,
        finished_at: state.finished_at,
        wake_at: next_limit(state),
        asked_at: newest_question(state),
    }
}

/// When the newest open question was asked: what puts the run into people's inboxes.
fn newest_question(state: &RunState) -> Option<Timestamp> {
    let asked = state.waiting.iter().filter_map(|id| state.step_run(*id)?.question.as_ref());
    asked.map(|question| question.asked_at).max()
}

/// When the next time limit comes of a step that nothing in memory waits for: a question's, or a child run's.
fn next_limit(state: &RunState) -> Option<Timestamp> {
    let asked = state.waiting.iter().filter_map(|id| state.step_run(*id)?.question.as_ref()?.until);
    let called = state.calling.iter().filter_map(|id| {
        let limit = state.plan.steps.get(id.index())?.timeout_ms?;
        let began = state.step_run(*id)?.open_attempt()?.started_at;
        Some(Timestamp(began.0.saturating_add_unsigned(limit)))
    });
    asked.chain(called).min()
}
