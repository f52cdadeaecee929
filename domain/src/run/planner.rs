//! The planner: a run's state plus an index of what each event unblocked.
//!
//! `decide` never evaluates user data and never looks at steps that nothing happened to: its cost follows the change.
//! Each effect is given once. After a restart a planner made from the replayed state gives those still owed again, and
//! the store's fence refuses what was done already.

use super::{
    state::RunState,
    step::{StepState, StepStatus},
};
use crate::{
    error::ErrorClass,
    event::{Event, EventKind, Failure},
    id::{StepRunId, Timestamp},
    template::OnFailure,
};
use std::collections::{BTreeMap, BTreeSet};

/// What the engine has to do next.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Evaluate the step's condition and record `ConditionEvaluated`.
    Evaluate { step: StepRunId },
    /// Record `Skipped`: its condition does not hold.
    Skip { step: StepRunId },
    /// Record `Ready`.
    MakeReady { step: StepRunId },
    /// Evaluate the step's forEach and record `ItemsResolved`.
    ResolveItems { step: StepRunId },
    /// Claim the attempt and execute it, not before the given time.
    Start { step: StepRunId, attempt: u32, not_before: Option<Timestamp> },
    /// Somebody has to decide about the step, or, from the given time on, its time limit does.
    AwaitAnswer { step: StepRunId, until: Option<Timestamp> },
    /// Every item is settled: record `Gathered` with their outputs. `failed`: how many have none.
    Gather { step: StepRunId, failed: u32 },
    /// Record `StepFailed` for a step under forEach whose items failed.
    FailItems { step: StepRunId, error: Failure },
    /// Every step is settled: evaluate the output and record `Completed`.
    Complete,
    /// Record `Failed`.
    Fail { error: Failure, step: String },
}

/// How far the items of one step are.
#[derive(Debug, Default)]
struct Fan {
    /// The first item that was never made ready; those before it are under way or settled.
    next: u32,
    under_way: u32,
    settled: u32,
    failed: u32,
    first_failed: Option<u32>,
}

#[derive(Debug)]
pub struct Planner {
    state: RunState,
    /// Per step: who waits for it.
    dependents: Vec<Vec<u32>>,
    /// Per step: how many of its dependencies are not settled.
    unmet: Vec<u32>,
    /// Per step under forEach whose list is known.
    fans: BTreeMap<u32, Fan>,
    /// Step runs that something happened to since the last `decide`.
    touched: BTreeSet<StepRunId>,
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
            // What comes after a step's end (the log of a fork) changes nothing any more.
        } else if let EventKind::ItemsResolved { .. } = event.kind {
            self.fans.insert(step.step, Fan::default());
        } else {
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

    /// The next things to do for one step run, if any.
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
                attempt: state.attempts.len() as u32 + 1,
                not_before: state.retry_at,
            }),
            StepStatus::Running if whole && state.items.is_some() => self.next_items(step, state, effects),
            StepStatus::Waiting => {
                let until = state.question.as_ref().and_then(|question| question.until);
                effects.push(Effect::AwaitAnswer { step, until });
            }
            _ => {}
        }
    }

    /// Makes as many items ready as may run at once; when all are settled, brings the step to its end.
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

    /// Keeps count of a step's items.
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
