//! The planner: a run's state plus an index of the steps that each event unblocked.
//!
//! `decide` never evaluates user data and never visits steps without new events: its cost is proportional to the
//! change. Each effect is returned once. After a restart, a planner built from the replayed state returns the effects
//! that are still open again, and the store's fence rejects those that were already executed.

use super::{
    state::RunState,
    step::{StepState, StepStatus},
};
use crate::{
    error::ErrorClass,
    event::{Event, EventKind, Failure},
    id::{StepRunId, Timestamp},
    plan::OnFailure,
};
use std::collections::{BTreeMap, BTreeSet};

/// The next action of the engine.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Evaluate the step's condition and record `ConditionEvaluated`.
    Evaluate { step: StepRunId },
    /// Record `Skipped`: the step's condition does not hold.
    Skip { step: StepRunId },
    /// Record `Ready`.
    MakeReady { step: StepRunId },
    /// Evaluate the step's forEach and record `ItemsResolved`.
    ResolveItems { step: StepRunId },
    /// Claim the attempt and execute it, not before the given time.
    Start { step: StepRunId, attempt: u32, not_before: Option<Timestamp> },
    /// Wait for a person's decision on the step, or for its time limit from `until` on.
    AwaitAnswer { step: StepRunId, until: Option<Timestamp> },
    /// Every item has ended: record `Gathered` with their outputs. `failed` is the number of items without one.
    Gather { step: StepRunId, failed: u32 },
    /// Record `StepFailed` for a step with `forEach` whose items failed.
    FailItems { step: StepRunId, error: Failure },
    /// Every step has ended: evaluate the output and record `Completed`.
    Complete,
    /// Record `Failed`.
    Fail { error: Failure, step: String },
}

/// Progress of the items of one step.
#[derive(Debug, Default)]
struct Fan {
    /// The first item that was never made ready; those before it are running or have ended.
    next: u32,
    under_way: u32,
    settled: u32,
    failed: u32,
    first_failed: Option<u32>,
}

#[derive(Debug)]
pub struct Planner {
    state: RunState,
    /// Per step: the steps that depend on it.
    dependents: Vec<Vec<u32>>,
    /// Per step: how many of its dependencies have not ended.
    unmet: Vec<u32>,
    /// Progress of every step with `forEach` whose list is known.
    fans: BTreeMap<u32, Fan>,
    /// Step runs that had an event since the last `decide`.
    touched: BTreeSet<StepRunId>,
    /// Number of steps that have ended: completed, skipped, or failed where the run tolerates it.
    settled: usize,
    /// The first step, by time, whose final failure ends the run.
    failed: Option<u32>,
    /// Whether `Complete` or `Fail` was returned.
    ended: bool,
}

impl Planner {
    /// A planner for a state that was folded elsewhere: of a new run, or of one found after a restart.
    pub fn new(state: RunState) -> Self {
        let mut planner = Self {
            state,
            dependents: Vec::new(),
            unmet: Vec::new(),
            fans: BTreeMap::new(),
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
        let step = event.kind.step();
        let was = step.and_then(|step| self.state.step_run(step)).map(|run| run.status);
        self.state.apply(event);
        if self.state.seq == before {
            return;
        }
        if let EventKind::Submitted { .. } = event.kind {
            return self.index();
        }
        let (Some(step), Some(was)) = (step, was) else { return };
        self.touched.insert(step);
        if step.item.is_some() {
            self.move_item(step, was);
        } else if was.is_end() {
            // Events after a step's end (possible in the log of a fork) have no effect.
        } else if let EventKind::ItemsResolved { .. } = event.kind {
            self.fans.insert(step.step, Fan::default());
        } else {
            self.settle(step.step);
        }
    }

    /// Whether no new step may start, because a step failed or the run has ended.
    pub fn is_winding_down(&self) -> bool {
        self.ended || self.failed.is_some()
    }

    /// The effects of all events applied since the last call.
    pub fn decide(&mut self) -> Vec<Effect> {
        if self.ended || self.state.phase.is_end() || self.state.plan.steps.is_empty() {
            return Vec::new();
        }
        let touched = std::mem::take(&mut self.touched);
        if let Some(failed) = self.failed {
            return self.wind_down(failed);
        }
        let mut effects = Vec::new();
        for step in touched {
            self.next(step, &mut effects);
        }
        if self.settled == self.state.steps.len() {
            self.ended = true;
            effects.push(Effect::Complete);
        }
        effects
    }

    /// Adds the next effects for one step run, if any.
    fn next(&self, step: StepRunId, effects: &mut Vec<Effect>) {
        let Some(state) = self.state.step_run(step) else { return };
        let planned = &self.state.plan.steps[step.index()];
        let whole = step.item.is_none();
        match state.status {
            StepStatus::Pending if whole && self.unmet[step.index()] == 0 => {
                effects.push(match (planned.condition, state.condition) {
                    (true, None) => Effect::Evaluate { step },
                    (true, Some(false)) => Effect::Skip { step },
                    _ => Effect::MakeReady { step },
                });
            }
            StepStatus::Ready if whole && planned.for_each => effects.push(Effect::ResolveItems { step }),
            StepStatus::Ready => effects.push(Effect::Start {
                step,
                attempt: state.next_attempt(),
                not_before: state.retry_at,
            }),
            StepStatus::Running if whole && state.items.is_some() => self.next_items(step, state, effects),
            // A child run's question is answered in the child run.
            StepStatus::Waiting if state.child_question.is_none() => {
                let until = state.question.as_ref().and_then(|question| question.until);
                effects.push(Effect::AwaitAnswer { step, until });
            }
            _ => {}
        }
    }

    /// Makes as many items ready as may run at once; when all have ended, ends the step.
    fn next_items(&self, step: StepRunId, state: &StepState, effects: &mut Vec<Effect>) {
        let Some(fan) = self.fans.get(&step.step) else { return };
        let runs = state.item_runs();
        let planned = &self.state.plan.steps[step.index()];
        if fan.settled as usize == runs.len() {
            let fatal = fan.first_failed.filter(|_| planned.on_failure == OnFailure::Fail);
            effects.push(match fatal {
                None => Effect::Gather { step, failed: fan.failed },
                Some(first) => {
                    let error = items_failure(fan, runs.len(), first, runs[first as usize].failure());
                    Effect::FailItems { step, error }
                }
            });
            return;
        }
        let free = planned.max_parallel.unwrap_or(u32::MAX).saturating_sub(fan.under_way);
        let fresh = (fan.next..).zip(&runs[fan.next as usize..]);
        let fresh = fresh.filter(|(_, run)| run.status == StepStatus::Pending).take(free as usize);
        effects.extend(fresh.map(|(item, _)| {
            let step = StepRunId { step: step.step, item: Some(item) };
            Effect::MakeReady { step }
        }));
    }

    /// A step failed finally: no new step starts, open attempts finish, then the run fails.
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
        self.touched = self.state.step_runs().map(|(id, _)| id).collect();
        self.fans = BTreeMap::new();
        self.settled = 0;
        self.failed = None;
        for (step, state) in (0u32..).zip(&self.state.steps) {
            if state.items.is_some() {
                self.fans.insert(step, Fan::of(state.item_runs()));
            }
        }
        for step in 0..plan.steps.len() as u32 {
            self.settle(step);
        }
    }

    /// Updates the counts of a step's items.
    fn move_item(&mut self, step: StepRunId, was: StepStatus) {
        let (Some(run), Some(item)) = (self.state.step_run(step), step.item) else { return };
        let now = run.status;
        let Some(fan) = self.fans.get_mut(&step.step) else { return };
        if was == StepStatus::Pending && now == StepStatus::Ready {
            fan.under_way += 1;
            fan.next = fan.next.max(item + 1);
        }
        if !was.is_end() && now.is_end() {
            fan.settle(item, now);
            if was != StepStatus::Pending {
                fan.under_way -= 1;
            }
            self.touched.insert(StepRunId { step: step.step, item: None });
        }
    }

    /// Called once per step, when it ends: unblocks the steps that depend on it.
    fn settle(&mut self, index: u32) {
        let status = self.state.steps[index as usize].status;
        let goes_on = match status {
            StepStatus::Completed | StepStatus::Skipped => true,
            StepStatus::Failed => {
                let tolerated = self.state.plan.steps[index as usize].on_failure == OnFailure::Continue;
                if !tolerated {
                    self.failed = self.state.first_failed.or(Some(index));
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
            self.touched.insert(StepRunId { step: dependent, item: None });
        }
    }
}

impl Fan {
    fn of(runs: &[StepState]) -> Self {
        let mut fan = Self::default();
        for (item, run) in (0u32..).zip(runs) {
            if run.status.is_end() {
                fan.settle(item, run.status);
            } else if run.status != StepStatus::Pending {
                fan.under_way += 1;
            }
        }
        let fresh = runs.iter().position(|run| run.status == StepStatus::Pending);
        fan.next = fresh.unwrap_or(runs.len()) as u32;
        fan
    }

    fn settle(&mut self, item: u32, status: StepStatus) {
        self.settled += 1;
        if status == StepStatus::Failed {
            self.failed += 1;
            self.first_failed = Some(self.first_failed.map_or(item, |first| first.min(item)));
        }
    }
}

fn items_failure(fan: &Fan, of: usize, first: u32, cause: Option<&Failure>) -> Failure {
    let class = cause.map_or(ErrorClass::Interrupted, |cause| cause.class);
    let why = cause.map_or_else(String::new, |cause| format!(": {}", cause.message));
    let message = match fan.failed {
        1 => format!("1 of {of} items failed, item {first}{why}"),
        n => format!("{n} of {of} items failed, the first of them item {first}{why}"),
    };
    Failure::new(class, message)
}
