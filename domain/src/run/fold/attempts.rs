//! The events of an attempt: its start, its prompt, child run and partial output, and its end.

use crate::{
    event::{Failure, Link, PendingCall, TextRef},
    id::{OwnerId, StepRunId, Timestamp},
    plan::OnFailure,
    run::{
        log::{LogKind, Warning},
        phase::Phase,
        retry::FREE_INTERRUPTIONS,
        state::RunState,
        step::{Attempt, AttemptEnd, AttemptOutcome, StepStatus},
    },
    usage::Usage,
};

impl RunState {
    pub(super) fn attempt_started(
        &mut self,
        at: Timestamp,
        step: StepRunId,
        attempt: u32,
        owner: Option<OwnerId>,
    ) {
        self.phase = Phase::Processing;
        self.started_at.get_or_insert(at);
        self.open += 1;
        self.newest = Some(step);
        if owner.is_none() {
            self.elsewhere.insert(step);
        }
        let state = self.at(step);
        state.status = StepStatus::Running;
        state.retry_at = None;
        state.attempts.push(Attempt {
            number: attempt,
            refusals: 0,
            owner,
            started_at: at,
            prompt: None,
            pending: None,
            link: None,
            partial_output: None,
            end: None,
        });
        self.note(at, LogKind::StepStarted { step, attempt });
    }

    pub(super) fn prompt_kept(&mut self, step: StepRunId, prompt: &TextRef, pending: Option<&PendingCall>) {
        if let Some(attempt) = self.at(step).attempts.last_mut() {
            attempt.prompt = Some(prompt.clone());
            attempt.pending = pending.cloned();
        }
    }

    pub(super) fn call_began(&mut self, step: StepRunId, owner: OwnerId) {
        if let Some(attempt) = self.at(step).attempts.last_mut() {
            attempt.pending = None;
            attempt.owner = Some(owner);
        }
    }

    pub(super) fn attempt_linked(&mut self, at: Timestamp, step: StepRunId, to: Link) {
        if let Some(attempt) = self.at(step).attempts.last_mut() {
            attempt.link = Some(to);
            // Before events said where an attempt is executed, `started` named the process that claimed it.
            attempt.owner = None;
            if attempt.end.is_none() {
                self.elsewhere.insert(step);
            }
        }
        match to {
            Link::ChildRun(run) => self.note(at, LogKind::ChildLaunched { step, run }),
        }
    }

    pub(super) fn partial_output(&mut self, step: StepRunId, text: &TextRef, usage: Usage) {
        self.spend(step, usage);
        self.bytes_generated += text.bytes;
        if let Some(attempt) = self.at(step).attempts.last_mut() {
            attempt.partial_output = Some(text.clone());
        }
    }

    pub(super) fn attempt_finished(
        &mut self,
        at: Timestamp,
        step: StepRunId,
        output: &TextRef,
        usage: Usage,
    ) {
        self.end_attempt(at, step, AttemptOutcome::Finished);
        let state = self.at(step);
        state.status = StepStatus::Completed;
        state.output = Some(output.clone());
        state.interruptions = 0;
        state.throttled_since = None;
        self.spend(step, usage);
        self.bytes_generated += output.bytes;
        self.note(at, LogKind::StepCompleted { step });
    }

    pub(super) fn warn_of_finish(
        &mut self,
        at: Timestamp,
        step: StepRunId,
        cut: bool,
        unknown_finish: Option<&str>,
    ) {
        if cut {
            self.warn(at, Warning::CutOff { step });
        }
        if let Some(word) = unknown_finish {
            self.warn(at, Warning::UnknownFinish { step, word: word.to_owned() });
        }
    }

    /// `attempt` is 0 if the step failed as a whole, outside any attempt.
    pub(super) fn attempt_failed(
        &mut self,
        at: Timestamp,
        step: StepRunId,
        attempt: u32,
        (outcome, error): (fn(Failure) -> AttemptOutcome, &Failure),
        retry_at: Option<Timestamp>,
    ) {
        let outcome = outcome(error.clone());
        let interrupted = matches!(outcome, AttemptOutcome::Interrupted(_));
        self.end_attempt(at, step, outcome);
        let attempt = (attempt > 0).then_some(attempt);
        // Failed items of a step with `forEach` are counted when its outputs are gathered.
        let tolerated =
            self.plan.steps[step.index()].on_failure == OnFailure::Continue && step.item.is_none();
        let retried = retry_at.is_some();
        let state = self.at(step);
        if attempt.is_none() {
            state.error = Some(error.clone());
            state.settled_at = Some(at);
        }
        state.interruptions = if interrupted { state.interruptions + 1 } else { 0 };
        if !interrupted || state.interruptions > FREE_INTERRUPTIONS {
            state.failures += 1;
        }
        state.throttled_since = None;
        state.retry_at = retry_at;
        state.status = if retried { StepStatus::Ready } else { StepStatus::Failed };
        if !retried {
            self.keep_first_failure(step);
        }
        self.note(at, LogKind::StepFailed { step, attempt, error: error.clone(), retried });
        if !retried && tolerated {
            self.warn(at, Warning::StepFailed { step, error: error.clone() });
        }
    }

    /// Returns the call to the provider's queue without counting it against `maxRetries`.
    pub(super) fn throttled(&mut self, at: Timestamp, step: StepRunId, attempt: u32, error: &Failure) {
        let began = self.at(step).open_attempt().map_or(at, |open| open.started_at);
        self.end_attempt(at, step, AttemptOutcome::Throttled(error.clone()));
        let state = self.at(step);
        state.merge_refusals();
        state.interruptions = 0;
        state.throttled_since.get_or_insert(began);
        state.retry_at = None;
        state.status = StepStatus::Ready;
        self.note(at, LogKind::Throttled { step, attempt, error: error.clone() });
    }

    pub(super) fn end_attempt(&mut self, at: Timestamp, step: StepRunId, outcome: AttemptOutcome) {
        if let Some(open) = self.at(step).attempts.last_mut().filter(|attempt| attempt.end.is_none()) {
            open.end = Some(AttemptEnd { at, outcome });
            open.pending = None;
            self.open -= 1;
            self.elsewhere.remove(&step);
            if self.asking.remove(&step) {
                self.at(step).child_question = None;
            }
        }
    }
}
