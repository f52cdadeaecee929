//! Step events outside attempts: ready, condition evaluated, skipped, reused, cancelled.

use crate::{
    event::TextRef,
    fork::Origin,
    id::{StepRunId, Timestamp},
    run::{
        log::{LogKind, Warning},
        state::RunState,
        step::{AttemptOutcome, SkipReason, StepStatus},
    },
};

impl RunState {
    pub(super) fn step_ready(&mut self, at: Timestamp, step: StepRunId) {
        let state = self.at(step);
        state.status = StepStatus::Ready;
        state.ready_at = Some(at);
    }

    pub(super) fn condition_evaluated(&mut self, step: StepRunId, holds: bool) {
        self.at(step).condition = Some(holds);
    }

    pub(super) fn step_skipped(&mut self, at: Timestamp, step: StepRunId, reason: &str) {
        let reason = SkipReason::Given { reason: reason.to_owned() };
        let state = self.at(step);
        state.status = StepStatus::Skipped;
        state.skipped = Some(reason.clone());
        self.note(at, LogKind::StepSkipped { step, reason });
    }

    /// The output is attributed to the role that made it, not to the role that this run would have assigned.
    pub(super) fn step_reused(
        &mut self,
        at: Timestamp,
        step: StepRunId,
        output: &TextRef,
        origin: Option<&Origin>,
    ) {
        let parent = self.parent.as_ref().map(|parent| parent.run);
        let state = self.at(step);
        state.status = StepStatus::Completed;
        state.output = Some(output.clone());
        state.reused = true;
        state.settled_at = Some(at);
        if let Some(origin) = origin {
            state.role = origin.role.clone();
            state.origin = Some(Box::new(origin.clone()));
        }
        let run = origin.map(|origin| origin.run).or(parent);
        self.note(at, LogKind::StepReused { step, run });
        if let Some(reason) = origin.and_then(|origin| origin.stale.clone()) {
            self.warn(at, Warning::StaleOutput { step, run, reason });
        }
    }

    pub(super) fn step_cancelled(&mut self, at: Timestamp, step: StepRunId) {
        self.end_attempt(at, step, AttemptOutcome::Cancelled);
        self.waiting.remove(&step);
        self.at(step).status = StepStatus::Cancelled;
    }
}
