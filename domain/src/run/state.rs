//! The state of a run: everything that its log says, folded.
//!
//! Always true: applying the same events to the same state gives the same state, wherever it runs; an event that was
//! applied before changes nothing; what grows (log lines, warnings) is bounded.

use super::{
    phase::{Phase, RunStatus},
    step::{Attempt, AttemptEnd, StepState, StepStatus, is_zero},
};
use crate::{
    event::{Event, EventKind, Failure, Parent, TemplateVersion, TextRef},
    id::{OwnerId, StepRunId, Timestamp},
    plan::Plan,
    role::{StepRole, fallback_warning},
    template::OnFailure,
    usage::Usage,
};
use serde::{Deserialize, Serialize};
use std::{collections::VecDeque, sync::Arc};

/// How many log lines a message keeps (DESIGN section 4); the events are the full story.
pub const LOG_LIMIT: usize = 200;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Info,
    Warning,
    Error,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    pub at: Timestamp,
    pub level: Level,
    pub text: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunOutput {
    pub text: TextRef,
    /// At most [`crate::event::OUTPUT_LIMIT`] bytes of it.
    pub shown: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunFailure {
    pub error: Failure,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
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
    pub plan: Arc<Plan>,
    /// One per step of the plan, in its order.
    pub steps: Vec<StepState>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<TextRef>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<RunOutput>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<RunFailure>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
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
    /// Attempts that are open now.
    #[serde(skip_serializing_if = "is_zero")]
    pub open: u32,
}

impl RunState {
    /// The state that `events` leave, from the beginning.
    pub fn replay<'a>(events: impl IntoIterator<Item = &'a Event>) -> Self {
        let mut state = Self::default();
        for event in events {
            state.apply(event);
        }
        state
    }

    /// Applies the next event. One that was applied before, or one that leaves a gap, changes nothing.
    pub fn apply(&mut self, event: &Event) {
        if event.seq != self.seq + 1 {
            return;
        }
        self.seq = event.seq;
        self.last_at = event.at;
        let at = event.at;
        match &event.kind {
            EventKind::Acknowledged { queue_position, .. } => {
                self.acknowledged_at = at;
                self.queue_position = *queue_position;
            }
            EventKind::Submitted { template, plan, input, by, parent } => {
                self.phase = Phase::Queued;
                self.steps = vec![StepState::default(); plan.steps.len()];
                self.plan = plan.clone();
                self.template = Some(template.clone());
                self.input = Some(input.clone());
                self.by = by.clone();
                self.parent = parent.clone();
                self.note(
                    at,
                    Level::Info,
                    format!("{} version {}, started by {by}", template.name, template.version),
                );
            }
            EventKind::RolesResolved { roles } => self.assign_roles(at, roles),
            EventKind::Ready { step } => {
                let state = &mut self.steps[step.index()];
                state.status = StepStatus::Ready;
                state.ready_at = Some(at);
            }
            EventKind::ConditionEvaluated { step, holds } => {
                self.steps[step.index()].condition = Some(*holds)
            }
            EventKind::Started { step, attempt, owner } => self.start(at, *step, *attempt, *owner),
            EventKind::Prompt { step, prompt, .. } => {
                if let Some(attempt) = self.steps[step.index()].attempts.last_mut() {
                    attempt.prompt = Some(prompt.clone());
                }
            }
            EventKind::Finished { step, output, usage, cut, .. } => {
                self.end_attempt(at, *step, AttemptEnd::Finished);
                let state = &mut self.steps[step.index()];
                state.status = StepStatus::Completed;
                state.output = Some(output.clone());
                state.usage += *usage;
                state.interruptions = 0;
                self.usage += *usage;
                self.bytes_generated += output.bytes;
                self.note(at, Level::Info, format!("{} completed", self.name(*step)));
                if *cut {
                    let name = self.name(*step).to_owned();
                    self.warn(at, format!("'{name}' stopped at its token limit: its output may be cut off"));
                }
            }
            EventKind::StepFailed { step, attempt, error, retry_at } => {
                self.fail_attempt(at, *step, *attempt, AttemptEnd::Failed(error.clone()), *retry_at);
            }
            EventKind::TimedOut { step, attempt, error, retry_at } => {
                self.fail_attempt(at, *step, *attempt, AttemptEnd::TimedOut(error.clone()), *retry_at);
            }
            EventKind::Interrupted { step, attempt, error, retry_at } => {
                self.fail_attempt(at, *step, *attempt, AttemptEnd::Interrupted(error.clone()), *retry_at);
            }
            EventKind::Skipped { step, reason } => {
                self.note(at, Level::Info, format!("{} skipped: {reason}", self.name(*step)));
                let state = &mut self.steps[step.index()];
                state.status = StepStatus::Skipped;
                state.skipped = Some(reason.clone());
            }
            EventKind::StepCancelled { step } => {
                self.end_attempt(at, *step, AttemptEnd::Cancelled);
                self.steps[step.index()].status = StepStatus::Cancelled;
            }
            EventKind::Completed { output, shown } => {
                self.output = Some(RunOutput { text: output.clone(), shown: shown.clone() });
                self.end(at, Phase::Complete);
                let text = match self.warnings.len() {
                    0 => "Completed".to_owned(),
                    1 => "Completed with 1 warning".to_owned(),
                    n => format!("Completed with {n} warnings"),
                };
                self.note(at, Level::Info, text);
            }
            EventKind::Failed { error, step } => {
                let reason = match step {
                    Some(step) => format!("not started: {step} failed"),
                    None => "not started: the run failed".to_owned(),
                };
                self.close_steps(StepStatus::Skipped, Some(&reason));
                self.note(at, Level::Error, format!("Failed: {error}"));
                self.error = Some(RunFailure { error: error.clone(), step: step.clone() });
                self.end(at, Phase::Failed);
            }
            EventKind::Cancelled { by } => {
                self.close_steps(StepStatus::Cancelled, None);
                self.note(at, Level::Warning, format!("Stopped by {by}"));
                self.end(at, Phase::Cancelled);
            }
        }
    }

    pub fn status(&self) -> RunStatus {
        self.phase.into()
    }

    /// Milliseconds from the acknowledgement to the end, or to the last event of a live run.
    pub fn elapsed_ms(&self) -> u64 {
        self.finished_at.unwrap_or(self.last_at).since(self.acknowledged_at)
    }

    pub fn name(&self, step: StepRunId) -> &str {
        self.plan.steps.get(step.index()).map_or("", |planned| &planned.name)
    }

    fn assign_roles(&mut self, at: Timestamp, roles: &[StepRole]) {
        for role in roles {
            let Some(step) = self.steps.get_mut(role.step as usize) else { continue };
            step.role = Some(role.clone());
            let name = &self.plan.steps[role.step as usize].name;
            if let Some(warning) = fallback_warning(name, &role.key, role.reason) {
                self.warn(at, warning);
            }
        }
    }

    fn start(&mut self, at: Timestamp, step: StepRunId, attempt: u32, owner: OwnerId) {
        self.phase = Phase::Processing;
        self.started_at.get_or_insert(at);
        self.open += 1;
        let state = &mut self.steps[step.index()];
        state.status = StepStatus::Running;
        state.retry_at = None;
        state.attempts.push(Attempt {
            number: attempt,
            owner,
            started_at: at,
            finished_at: None,
            prompt: None,
            end: None,
        });
        let text = match attempt {
            1 => format!("{} started", self.name(step)),
            n => format!("{} started, attempt {n}", self.name(step)),
        };
        self.note(at, Level::Info, text);
    }

    fn end_attempt(&mut self, at: Timestamp, step: StepRunId, end: AttemptEnd) {
        if let Some(open) =
            self.steps[step.index()].attempts.last_mut().filter(|attempt| attempt.end.is_none())
        {
            open.end = Some(end);
            open.finished_at = Some(at);
            self.open -= 1;
        }
    }

    fn fail_attempt(
        &mut self,
        at: Timestamp,
        step: StepRunId,
        attempt: u32,
        end: AttemptEnd,
        retry_at: Option<Timestamp>,
    ) {
        let message = end.failure().map_or_else(String::new, ToString::to_string);
        let interrupted = matches!(end, AttemptEnd::Interrupted(_));
        self.end_attempt(at, step, end);
        let planned = &self.plan.steps[step.index()];
        let tolerated = planned.on_failure == OnFailure::Continue;
        let name = planned.name.clone();
        let state = &mut self.steps[step.index()];
        if interrupted {
            state.interruptions += 1;
        } else {
            state.interruptions = 0;
        }
        if !interrupted || state.interruptions > super::retry::FREE_INTERRUPTIONS {
            state.failures += 1;
        }
        state.retry_at = retry_at;
        if retry_at.is_some() {
            state.status = StepStatus::Ready;
            self.note(
                at,
                Level::Warning,
                format!("{name}, attempt {attempt}: {message}; it will be tried again"),
            );
        } else {
            state.status = StepStatus::Failed;
            self.note(at, Level::Error, format!("{name}, attempt {attempt}: {message}"));
            if tolerated {
                self.warn(at, format!("'{name}' failed and the run went on without its output: {message}"));
            }
        }
    }

    fn close_steps(&mut self, status: StepStatus, reason: Option<&str>) {
        for step in self.steps.iter_mut().filter(|step| !step.status.is_end()) {
            step.status = status;
            step.skipped = reason.map(str::to_owned);
        }
    }

    fn end(&mut self, at: Timestamp, phase: Phase) {
        self.phase = phase;
        self.finished_at = Some(at);
        self.open = 0;
    }

    fn warn(&mut self, at: Timestamp, warning: String) {
        self.note(at, Level::Warning, warning.clone());
        // Bounded by the plan: at most two per step, and the metadata shows no more than the log does.
        if self.warnings.len() < LOG_LIMIT {
            self.warnings.push(warning);
        }
    }

    fn note(&mut self, at: Timestamp, level: Level, text: String) {
        if self.log.len() == LOG_LIMIT {
            self.log.pop_front();
        }
        self.log.push_back(LogLine { at, level, text });
    }
}
