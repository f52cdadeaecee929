//! The state of a run: the fold of its log.
//!
//! Invariants: the same events applied to the same state give the same state everywhere; an event that was already
//! applied changes nothing; everything that grows (log lines, warnings, attempts) is bounded.

use super::{
    log::{LogLine, Warning},
    phase::{Phase, RunStatus},
    step::{StepState, StepStatus, is_zero},
};
use crate::{
    event::{Caller, Event, Failure, Parent, TemplateVersion, TextRef},
    file::FilePath,
    id::{StepRunId, Timestamp},
    plan::Plan,
    usage::Usage,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
};

/// Version of the state's shape and meaning: a stored state with another version is folded again from its events.
/// Raise it with every change of [`RunState`] or of the effect of its events.
pub const STATE_VERSION: u32 = 11;
/// Maximum number of requested paths that a run remembers, and of files that its message lists.
pub const FILE_LIMIT: usize = 200;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunOutput {
    pub text: TextRef,
    /// At most [`crate::event::OUTPUT_LIMIT`] bytes of the text.
    pub shown: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunFailure {
    pub error: Failure,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
}

/// A file that the run wrote, in its latest version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunFile {
    pub path: FilePath,
    pub content: TextRef,
    pub step: StepRunId,
    pub at: Timestamp,
    /// How many times the run wrote the file.
    pub writes: u32,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RunState {
    /// The number of the last event applied; 0 before the first.
    pub seq: u64,
    pub phase: Phase,
    pub queue_position: u32,
    pub by: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<TemplateVersion>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<Parent>,
    /// The step of another run that launched this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caller: Option<Caller>,
    pub plan: Arc<Plan>,
    /// One state per step of the plan, in its order.
    pub steps: Vec<StepState>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<TextRef>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<RunOutput>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<RunFailure>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
    /// The last [`LOG_LIMIT`](super::LOG_LIMIT) lines.
    pub log: VecDeque<LogLine>,
    pub usage: Usage,
    pub bytes_generated: u64,
    pub acknowledged_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When the last event happened.
    pub last_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// The first step whose final failure ends the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_failed: Option<u32>,
    /// Number of open attempts.
    #[serde(skip_serializing_if = "is_zero")]
    pub open: u32,
    /// The step run whose attempt started last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newest: Option<StepRunId>,
    /// Step runs that wait for a person.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub waiting: BTreeSet<StepRunId>,
    /// Step runs whose open attempt is executed elsewhere: it survives the server process.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub elsewhere: BTreeSet<StepRunId>,
    /// The step runs of `elsewhere` whose child run waits for a person.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub asking: BTreeSet<StepRunId>,
    /// Number of step runs that may start: they wait for a slot of their provider, or for the time of their next
    /// attempt.
    #[serde(skip_serializing_if = "is_zero")]
    pub ready: u32,
    /// The files that the run wrote, in the order of first writing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<RunFile>,
    /// Paths of the files that streaming answers have begun, in that order, without repetition.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files_requested: Vec<FilePath>,
}

impl RunState {
    /// The state after `events`, from the beginning of the log.
    pub fn replay<'a>(events: impl IntoIterator<Item = &'a Event>) -> Self {
        let mut state = Self::default();
        for event in events {
            state.apply(event);
        }
        state
    }

    /// Applies the next event. An event that was already applied, or that leaves a gap, changes nothing.
    pub fn apply(&mut self, event: &Event) {
        if event.seq != self.seq + 1 {
            return;
        }
        self.seq = event.seq;
        self.last_at = event.at;
        let step = event.kind.step();
        let was_ready = self.is_ready(step);
        self.fold(event.at, &event.kind);
        if self.phase.is_end() {
            return;
        }
        match (was_ready, self.is_ready(step)) {
            (false, true) => self.ready += 1,
            (true, false) => self.ready -= 1,
            _ => {}
        }
        if self.has_open_questions() {
            let idle = self.open as usize == self.asking.len() && self.ready == 0;
            self.phase = if idle { Phase::Waiting } else { Phase::Processing };
        } else if self.phase == Phase::Waiting {
            self.phase = Phase::Processing;
        }
    }

    fn is_ready(&self, step: Option<StepRunId>) -> bool {
        let run = step.and_then(|step| self.step_run(step));
        run.is_some_and(|run| run.status == StepStatus::Ready)
    }

    /// Whether a step run or its child run waits for a person.
    pub fn has_open_questions(&self) -> bool {
        !self.waiting.is_empty() || !self.asking.is_empty()
    }

    pub fn status(&self) -> RunStatus {
        self.phase.into()
    }

    /// Milliseconds from the acknowledgement to the end, or to the last event of a live run.
    pub fn elapsed_ms(&self) -> u64 {
        self.finished_at.unwrap_or(self.last_at).since(self.acknowledged_at)
    }

    /// The step's name, for the step and for any of its items.
    pub fn name(&self, step: StepRunId) -> &str {
        self.plan.steps.get(step.index()).map_or("", |planned| &planned.name)
    }

    /// The step run's label: the step's name, and the item's index under `forEach`.
    pub fn label(&self, step: StepRunId) -> String {
        match step.item {
            None => self.name(step).to_owned(),
            Some(item) => format!("{} [{item}]", self.name(step)),
        }
    }

    /// The step run with this id, if the run has one.
    pub fn step_run(&self, id: StepRunId) -> Option<&StepState> {
        let step = self.steps.get(id.index())?;
        match id.item {
            None => Some(step),
            Some(item) => step.items.as_ref()?.runs.get(item as usize),
        }
    }

    /// All step runs that exist so far: each step followed by its items, in the plan's order.
    pub fn step_runs(&self) -> impl Iterator<Item = (StepRunId, &StepState)> {
        (0u32..).zip(&self.steps).flat_map(|(step, state)| {
            let items = (0u32..).zip(state.item_runs());
            let items = items.map(move |(item, run)| (StepRunId { step, item: Some(item) }, run));
            std::iter::once((StepRunId { step, item: None }, state)).chain(items)
        })
    }
}
