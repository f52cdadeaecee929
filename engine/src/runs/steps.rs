//! What an actor does with a step run of any kind: take an output, fail an attempt, evaluate a condition; and how the
//! run ends.

use super::{
    actor::RunActor,
    attempt::{AnswerEnd, CallFailure},
    batch::Batch,
    body,
    output::Output,
};
use crate::models::{self, PromptPermit, Slot};
use domain::{
    error::ErrorClass,
    event::{EventKind, Failure, OUTPUT_LIMIT, TextRef, head},
    expression::ExpressionError,
    file::Written,
    id::{StepRunId, Timestamp},
    run::{RunState, StepState, StepStatus, Verdict, backoff},
    usage::Usage,
};
use serde_json::Value;

/// The result of a successful attempt.
pub(super) struct Success {
    pub output: Output,
    pub files: Vec<Written>,
    pub usage: Usage,
    pub end: AnswerEnd,
}

impl RunActor {
    /// Stores the model's partial answer of an attempt that ends without output: a person may want it, and it has cost
    /// money.
    pub(super) fn keep_partial_output(
        &mut self,
        step: StepRunId,
        attempt: u32,
        text: &str,
        usage: Usage,
        batch: &mut Batch,
    ) {
        if text.is_empty() && usage.is_none() {
            return;
        }
        let text = self.keep(batch, text.to_owned());
        self.record(batch, EventKind::PartialOutput { step, attempt, text, usage });
    }

    /// Records the success of an attempt. If its output cannot be mapped, nothing is recorded.
    pub(super) fn finish(
        &mut self,
        step: StepRunId,
        attempt: u32,
        success: Success,
        batch: &mut Batch,
    ) -> Result<(), Failure> {
        let Success { output, files, usage, end: AnswerEnd { cut, unknown_finish } } = success;
        // The outputs of items are mapped when all of them are gathered.
        if step.item.is_none() {
            self.map_output(step, &output.value)?;
        }
        self.record_files(step, attempt, files, batch);
        let reference = self.keep_output(batch, &output);
        self.hold(step, output.text.len(), output.value);
        let kind = EventKind::Finished { step, attempt, output: reference, usage, cut, unknown_finish };
        self.record(batch, kind);
        Ok(())
    }

    pub(super) fn keep_output(&self, batch: &mut Batch, output: &Output) -> TextRef {
        TextRef { json: output.json, ..self.keep(batch, output.text.clone()) }
    }

    pub(super) fn fail(
        &mut self,
        step: StepRunId,
        attempt: u32,
        failed: impl Into<CallFailure>,
        batch: &mut Batch,
    ) {
        let CallFailure { failure: error, retry_after, timed_out, .. } = failed.into();
        let throttled = models::is_throttled(error.class, retry_after);
        if throttled && self.state().may_requeue(step, batch.at, retry_after) {
            return self.record(batch, EventKind::Throttled { step, attempt, error });
        }
        let retry_at = match self.state().verdict(step, error.class) {
            Verdict::Retry { nth } => {
                let wait = backoff(nth, rand::random(), retry_after);
                Some(Timestamp(batch.at.0 + wait.as_millis() as i64))
            }
            Verdict::Final => None,
        };
        let kind = match error.class {
            ErrorClass::Interrupted => EventKind::Interrupted { step, attempt, error, retry_at },
            _ if timed_out => EventKind::TimedOut { step, attempt, error, retry_at },
            _ => EventKind::StepFailed { step, attempt, error, retry_at },
        };
        self.record(batch, kind);
    }

    /// Fails a step that cannot begin, by an attempt that fails at once.
    pub(super) fn refuse(&mut self, step: StepRunId, error: Failure, batch: &mut Batch) {
        let owner = Some(self.engine.0.runs.owner());
        let attempt = self.state().step_run(step).map_or(1, StepState::next_attempt);
        self.record(batch, EventKind::Started { step, attempt, owner });
        self.fail(step, attempt, error, batch);
    }

    /// Whether the attempt is open, and executed by this process or elsewhere. What executes it elsewhere is its fence: a
    /// child run's row names the attempt.
    pub(super) fn is_open(&self, step: StepRunId, attempt: u32) -> bool {
        let this = self.engine.0.runs.owner();
        let open = self.state().step_run(step).and_then(|run| run.open_attempt());
        open.is_some_and(|open| open.number == attempt && open.owner.is_none_or(|owner| owner == this))
    }

    /// Whether this attempt is the one to start next.
    fn may_start(&self, step: StepRunId, attempt: u32) -> bool {
        !self.state().phase.is_end()
            && !self.planner.is_winding_down()
            && self
                .state()
                .step_run(step)
                .is_some_and(|run| run.status == StepStatus::Ready && run.next_attempt() == attempt)
    }

    /// Begins an attempt, or the call of a claimed one, with the slot or prompt room that it waited for.
    pub(super) async fn start(
        &mut self,
        step: StepRunId,
        attempt: u32,
        slot: Option<Slot>,
        permit: Option<PromptPermit>,
        batch: &mut Batch,
    ) {
        if self.claimed.contains_key(&step) {
            self.continue_claimed(step, attempt, slot, permit, batch).await;
        } else if self.may_start(step, attempt) {
            body::begin(self, step, attempt, slot, permit, batch).await;
        }
    }

    pub(super) async fn evaluate_condition(&mut self, step: StepRunId, batch: &mut Batch) {
        let holds = self.evaluate_step(step, batch, |evaluator, planned, context| {
            evaluator.condition(planned.condition.as_deref().unwrap_or_default(), context)
        });
        match flatten(holds.await) {
            Ok(holds) => self.record(batch, EventKind::ConditionEvaluated { step, holds }),
            Err(mut failure) => {
                failure.message = format!("its condition: {}", failure.message);
                self.refuse(step, failure, batch);
            }
        }
    }

    pub(super) async fn complete(&mut self, batch: &mut Batch) {
        let value = match self.evaluate_output(batch).await {
            Ok(value) => value,
            Err(error) => return self.record(batch, EventKind::Failed { error, step: None }),
        };
        let (text, json) = match value {
            Value::String(text) => (text, false),
            Value::Null => (String::new(), false),
            other => (format!("{other:#}"), true),
        };
        let kept = if json { None } else { self.stored(&text, batch).await };
        let output = kept.unwrap_or_else(|| TextRef { json, ..self.keep(batch, text.clone()) });
        let shown = head(&text, OUTPUT_LIMIT).to_owned();
        batch.output = Some(text);
        self.record(batch, EventKind::Completed { output, shown });
    }

    /// The reference of a stored step output that equals this text.
    async fn stored(&self, text: &str, batch: &Batch) -> Option<TextRef> {
        let outputs = self.state().steps.iter().rev().filter_map(|step| step.output.as_ref());
        let alike = outputs.filter(|output| {
            !output.json && output.bytes == text.len() as u64 && text.starts_with(&output.head)
        });
        for output in alike {
            if self.text(output.id, batch).await.is_ok_and(|stored| stored == text) {
                return Some(output.clone());
            }
        }
        None
    }

    pub(super) async fn cancel(&mut self, by: String, batch: &mut Batch) {
        let open: Vec<_> = open_attempts(self.state()).collect();
        body::stop(self, &open, batch).await;
        for (step, _) in open {
            self.record(batch, EventKind::StepCancelled { step });
        }
        self.record(batch, EventKind::Cancelled { by });
    }
}

/// The open attempts of all step runs.
pub(super) fn open_attempts(state: &RunState) -> impl Iterator<Item = (StepRunId, u32)> {
    state.step_runs().filter_map(|(id, run)| Some((id, run.open_attempt()?.number)))
}

/// The value of an expression, or its error as a failure.
pub(super) fn flatten<T>(evaluated: Result<Result<T, ExpressionError>, Failure>) -> Result<T, Failure> {
    evaluated?.map_err(|error| Failure::new(ErrorClass::Expression, error.to_string()))
}

impl From<Failure> for CallFailure {
    fn from(failure: Failure) -> Self {
        let timed_out = failure.class == ErrorClass::Timeout;
        Self { failure, retry_after: None, timed_out, usage: Usage::default() }
    }
}
