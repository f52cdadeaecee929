//! The effect of each kind of event on a run's state, one function per kind. This file has the kinds that concern the
//! run itself; the submodules have those that concern a step.

mod attempts;
mod files;
mod items;
mod people;
mod steps;

use super::{
    log::{LOG_LIMIT, LogKind, LogLine, Warning},
    phase::Phase,
    state::{RunFailure, RunOutput, RunState},
    step::{AttemptOutcome, SkipReason, StepState, StepStatus},
};
use crate::{
    event::{Caller, EventKind, Failure, Parent, TemplateVersion, TextRef},
    id::{StepRunId, Timestamp},
    plan::{OnFailure, Plan},
    role::{Reason, StepRole},
    usage::Usage,
};
use std::sync::Arc;

impl RunState {
    /// Applies an event of this kind, recorded at `at`. An event refers only to steps and attempts that existed when
    /// it was recorded.
    pub(super) fn fold(&mut self, at: Timestamp, kind: &EventKind) {
        match kind {
            EventKind::Acknowledged { queue_position, .. } => self.acknowledged(at, *queue_position),
            EventKind::Submitted { template, plan, input, by, parent, caller } => {
                self.submitted(at, template, plan, input, by, (parent.as_deref(), caller.as_ref()));
            }
            EventKind::RolesResolved { roles } => self.roles_resolved(at, roles),
            EventKind::Ready { step } => self.step_ready(at, *step),
            EventKind::ConditionEvaluated { step, holds } => self.condition_evaluated(*step, *holds),
            EventKind::ItemsResolved { step, count, items } => self.items_resolved(at, *step, *count, items),
            EventKind::Gathered { step, output, failed } => self.gathered(at, *step, output, *failed),
            EventKind::Reused { step, output, origin } => {
                self.step_reused(at, *step, output, origin.as_deref());
            }
            EventKind::Started { step, attempt, owner } => self.attempt_started(at, *step, *attempt, *owner),
            EventKind::Prompt { step, prompt, pending, .. } => {
                self.prompt_kept(*step, prompt, pending.as_ref());
            }
            EventKind::CallBegan { step, owner, .. } => self.call_began(*step, *owner),
            EventKind::Linked { step, to, .. } => self.attempt_linked(at, *step, *to),
            EventKind::ChildWaiting { step, question, .. } => self.child_waiting(at, *step, question),
            EventKind::ChildResumed { step, .. } => self.child_resumed(*step),
            EventKind::FileRequested { path, .. } => self.file_requested(path),
            EventKind::FileWritten { step, path, content, edited, .. } => {
                self.file_written(at, *step, path, content, *edited);
            }
            EventKind::Waiting { step, question, proposal, until, on_timeout } => {
                self.step_waiting(at, *step, (question, proposal), *until, *on_timeout);
            }
            EventKind::Answered { step, decision, by, note, output } => {
                self.answered(at, *step, *decision, by.as_deref(), note, output.as_ref());
            }
            EventKind::Finished { step, output, usage, cut, unknown_finish, .. } => {
                self.attempt_finished(at, *step, output, *usage);
                self.warn_of_finish(at, *step, *cut, unknown_finish.as_deref());
            }
            EventKind::PartialOutput { step, text, usage, .. } => self.partial_output(*step, text, *usage),
            EventKind::StepFailed { step, attempt, error, retry_at } => {
                self.attempt_failed(at, *step, *attempt, (AttemptOutcome::Failed, error), *retry_at);
            }
            EventKind::TimedOut { step, attempt, error, retry_at } => {
                self.attempt_failed(at, *step, *attempt, (AttemptOutcome::TimedOut, error), *retry_at);
            }
            EventKind::Interrupted { step, attempt, error, retry_at } => {
                self.attempt_failed(at, *step, *attempt, (AttemptOutcome::Interrupted, error), *retry_at);
            }
            EventKind::Throttled { step, attempt, error } => self.throttled(at, *step, *attempt, error),
            EventKind::Skipped { step, reason } => self.step_skipped(at, *step, reason),
            EventKind::StepCancelled { step } => self.step_cancelled(at, *step),
            EventKind::Completed { output, shown } => self.completed(at, output, shown),
            EventKind::Failed { error, step } => self.failed(at, error, step.as_deref()),
            EventKind::Cancelled { by } => self.cancelled(at, by),
        }
    }

    fn acknowledged(&mut self, at: Timestamp, queue_position: u32) {
        self.acknowledged_at = at;
        self.queue_position = queue_position;
    }

    fn submitted(
        &mut self,
        at: Timestamp,
        template: &TemplateVersion,
        plan: &Arc<Plan>,
        input: &TextRef,
        by: &str,
        (parent, caller): (Option<&Parent>, Option<&Caller>),
    ) {
        self.phase = Phase::Queued;
        self.steps = vec![StepState::default(); plan.steps.len()];
        self.plan = plan.clone();
        self.template = Some(template.clone());
        self.input = Some(input.clone());
        self.by = by.to_owned();
        self.parent = parent.cloned();
        self.caller = caller.cloned();
        for changed in parent.iter().flat_map(|parent| &parent.changed) {
            if let Some(step) = self.steps.get_mut(changed.step as usize) {
                step.rerun = Some(changed.reason.clone());
            }
        }
        self.note(at, LogKind::Submitted);
    }

    fn roles_resolved(&mut self, at: Timestamp, roles: &[StepRole]) {
        for role in roles {
            let Some(step) = self.steps.get_mut(role.step as usize) else { continue };
            step.role = Some(role.clone());
            if role.reason != Reason::Assigned {
                let step = StepRunId { step: role.step, item: None };
                self.warn(at, Warning::RoleFallback { step, role: role.key.clone(), reason: role.reason });
            }
        }
    }

    fn completed(&mut self, at: Timestamp, output: &TextRef, shown: &str) {
        self.output = Some(RunOutput { text: output.clone(), shown: shown.to_owned() });
        self.note(at, LogKind::Completed { warnings: self.warnings.len() as u32 });
        self.end(at, Phase::Complete);
    }

    fn failed(&mut self, at: Timestamp, error: &Failure, step: Option<&str>) {
        let step = step.map(str::to_owned);
        self.close_steps(StepStatus::Skipped, Some(&SkipReason::RunFailed { step: step.clone() }));
        self.note(at, LogKind::Failed { error: error.clone() });
        self.error = Some(RunFailure { error: error.clone(), step });
        self.end(at, Phase::Failed);
    }

    fn cancelled(&mut self, at: Timestamp, by: &str) {
        self.close_steps(StepStatus::Cancelled, None);
        self.note(at, LogKind::Cancelled { by: by.to_owned() });
        self.end(at, Phase::Cancelled);
    }

    /// The run has ended: closes all steps that have not.
    fn close_steps(&mut self, status: StepStatus, reason: Option<&SkipReason>) {
        for step in &mut self.steps {
            let items = step.items.iter_mut().flat_map(|items| &mut items.runs);
            for run in items.filter(|run| !run.status.is_end()) {
                run.close(status, reason);
            }
            if !step.status.is_end() {
                step.close(status, reason);
            }
        }
    }

    fn end(&mut self, at: Timestamp, phase: Phase) {
        self.phase = phase;
        self.finished_at = Some(at);
        self.open = 0;
        self.waiting.clear();
        self.elsewhere.clear();
        self.asking.clear();
        self.ready = 0;
    }

    /// Records the first step whose final failure ends the run. Failed items are not recorded themselves; their step
    /// is, once it fails.
    fn keep_first_failure(&mut self, step: StepRunId) {
        if step.item.is_none() && self.plan.steps[step.index()].on_failure == OnFailure::Fail {
            self.first_failed.get_or_insert(step.step);
        }
    }

    fn at(&mut self, id: StepRunId) -> &mut StepState {
        let step = &mut self.steps[id.index()];
        let Some(item) = id.item else { return step };
        let runs = step.items.as_mut().map_or(&mut [][..], |items| &mut items.runs);
        &mut runs[item as usize]
    }

    fn spend(&mut self, step: StepRunId, usage: Usage) {
        self.at(step).usage += usage;
        if step.item.is_some() {
            self.steps[step.index()].usage += usage;
        }
        self.usage += usage;
    }

    fn warn(&mut self, at: Timestamp, warning: Warning) {
        self.note(at, LogKind::Warned { warning: warning.clone() });
        // The metadata shows at most as many warnings as log lines.
        if self.warnings.len() < LOG_LIMIT {
            self.warnings.push(warning);
        }
    }

    fn note(&mut self, at: Timestamp, kind: LogKind) {
        if self.log.len() == LOG_LIMIT {
            self.log.pop_front();
        }
        self.log.push_back(LogLine { at, kind });
    }
}
