//! The planner: a run's state plus an index of what each event unblocked.
//!
//! `decide` never evaluates user data and never looks at steps that nothing happened to: its cost follows the change.
//! Each effect is given once. After a restart a planner made from the replayed state gives those still owed again, and
//! the store's fence refuses what was done already.

use super::{state::RunState, step::StepStatus};
use crate::{
    error::ErrorClass,
    event::{Event, EventKind, Failure},
    id::{StepRunId, Timestamp},
    template::OnFailure,
};
use std::collections::BTreeSet;

/// What the engine has to do next.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Evaluate the step's condition and record `ConditionEvaluated`.
    Evaluate { step: StepRunId },
    /// Record `Skipped`: its condition does not hold.
    Skip { step: StepRunId },
    /// Record `Ready`.
    MakeReady { step: StepRunId },
    /// Claim the attempt and execute it, not before the given time.
    Start { step: StepRunId, attempt: u32, not_before: Option<Timestamp> },
    /// Every step is settled: evaluate the output and record `Completed`.
    Complete,
    /// Record `Failed`.
    Fail { error: Failure, step: String },
}

#[derive(Debug)]
pub struct Planner {
    state: RunState,
    /// Per step: who waits for it.
    dependents: Vec<Vec<u32>>,
    /// Per step: how many of its dependencies are not settled.
    unmet: Vec<u32>,
    /// Steps that something happened to since the last `decide`.
    touched: BTreeSet<u32>,
    /// Steps that are settled: completed, skipped, or failed where the run goes on.
    settled: usize,
    /// The first step that failed for good.
    failed: Option<u32>,
    /// `Complete` or `Fail` was given.
    ended: bool,
}

impl Planner {
    /// A planner for a state that was folded elsewhere: a new run, or one found after a restart.
    pub fn new(state: RunState) -> Self {
        let mut planner = Self {
            state,
            dependents: Vec::new(),
            unmet: Vec::new(),
            touched: BTreeSet::new(),
            settled: 0,
            failed: None,
            ended: false,
        };
        planner.index();
        planner
    }

    pub fn state(&self) -> &RunState {
        &self.state
    }

    pub fn apply(&mut self, event: &Event) {
        let before = self.state.seq;
        self.state.apply(event);
        if self.state.seq == before {
            return;
        }
        if let EventKind::Submitted { .. } = event.kind {
            self.index();
        } else if let Some(step) = event.kind.step() {
            self.touched.insert(step.step);
            self.settle(step.step);
        }
    }

    /// A step failed for good, or the run has ended: nothing new may start.
    pub fn is_winding_down(&self) -> bool {
        self.ended || self.failed.is_some()
    }

    /// What follows from everything applied since the last call.
    pub fn decide(&mut self) -> Vec<Effect> {
        if self.ended || self.state.phase.is_end() || self.state.plan.steps.is_empty() {
            return Vec::new();
        }
        let touched = std::mem::take(&mut self.touched);
        if let Some(failed) = self.failed {
            return self.wind_down(failed);
        }
        let mut effects: Vec<_> = touched.into_iter().filter_map(|step| self.next(step)).collect();
        if self.settled == self.state.steps.len() {
            self.ended = true;
            effects.push(Effect::Complete);
        }
        effects
    }

    /// The next thing to do for one step, if anything.
    fn next(&self, index: u32) -> Option<Effect> {
        let step = StepRunId { step: index, item: None };
        let state = &self.state.steps[index as usize];
        match state.status {
            StepStatus::Pending if self.unmet[index as usize] == 0 => {
                match (self.state.plan.steps[index as usize].condition, state.condition) {
                    (true, None) => Some(Effect::Evaluate { step }),
                    (true, Some(false)) => Some(Effect::Skip { step }),
                    _ => Some(Effect::MakeReady { step }),
                }
            }
            StepStatus::Ready => Some(Effect::Start {
                step,
                attempt: state.attempts.len() as u32 + 1,
                not_before: state.retry_at,
            }),
            _ => None,
        }
    }

    /// A step failed for good: nothing new starts, what is in flight finishes, then the run is failed.
    fn wind_down(&mut self, failed: u32) -> Vec<Effect> {
        if self.state.open > 0 {
            return Vec::new();
        }
        self.ended = true;
        let step = StepRunId { step: failed, item: None };
        let name = self.state.name(step).to_owned();
        let cause = self.state.steps[failed as usize].failure().cloned();
        let error = match cause {
            Some(cause) => Failure::new(cause.class, format!("step '{name}' failed: {}", cause.message)),
            None => Failure::new(ErrorClass::Interrupted, format!("step '{name}' failed")),
        };
        vec![Effect::Fail { error, step: name }]
    }

    fn index(&mut self) {
        let plan = self.state.plan.clone();
        self.dependents = plan.dependents();
        self.unmet = plan.steps.iter().map(|step| step.depends_on.len() as u32).collect();
        self.touched = (0..plan.steps.len() as u32).collect();
        self.settled = 0;
        self.failed = None;
        for step in 0..plan.steps.len() as u32 {
            self.settle(step);
        }
    }

    /// Called once per step, when it has come to its end: unblocks those that waited for it.
    fn settle(&mut self, index: u32) {
        let status = self.state.steps[index as usize].status;
        let goes_on = match status {
            StepStatus::Completed | StepStatus::Skipped => true,
            StepStatus::Failed => {
                let tolerated = self.state.plan.steps[index as usize].on_failure == OnFailure::Continue;
                if !tolerated {
                    self.failed.get_or_insert(index);
                }
                tolerated
            }
            _ => false,
        };
        if !goes_on {
            return;
        }
        self.settled += 1;
        for &dependent in &self.dependents[index as usize] {
            self.unmet[dependent as usize] -= 1;
            self.touched.insert(dependent);
        }
    }
}
