//! Steps with `forEach`: their list, and the results of their items.

use crate::{
    event::TextRef,
    id::{StepRunId, Timestamp},
    run::{
        log::{LogKind, Warning},
        phase::Phase,
        state::RunState,
        step::{Items, StepState, StepStatus},
    },
};

impl RunState {
    pub(super) fn items_resolved(&mut self, at: Timestamp, step: StepRunId, count: u32, items: &TextRef) {
        let state = self.at(step);
        let run = StepState { role: state.role.clone(), ..StepState::default() };
        let runs = vec![run; count as usize];
        state.items = Some(Items { list: items.clone(), runs });
        state.status = StepStatus::Running;
        self.phase = Phase::Processing;
        self.note(at, LogKind::ItemsResolved { step, count });
    }

    pub(super) fn gathered(&mut self, at: Timestamp, step: StepRunId, output: &TextRef, failed: u32) {
        let state = self.at(step);
        state.output = Some(output.clone());
        state.status = StepStatus::Completed;
        state.settled_at = Some(at);
        self.note(at, LogKind::StepCompleted { step });
        if failed > 0 {
            self.warn(at, Warning::ItemsFailed { step, failed });
        }
    }
}
