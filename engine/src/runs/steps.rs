//! What an actor does with one step run, whatever its body: takes an output, fails an attempt, evaluates a condition; and
//! how the run comes to its end.

use super::{actor::RunActor, attempt::CallFailure, batch::Batch, body, output::Output};
use crate::models::{PromptPermit, Slot};
use domain::{
    error::ErrorClass,
    event::{EventKind, Failure, OUTPUT_LIMIT, TextRef, head},
    expression::ExpressionError,
    id::{StepRunId, Timestamp},
    run::{StepStatus, Verdict, backoff},
    usage::Usage,
};
use serde_json::Value;

impl RunActor {
    /// Keeps what the model said in an attempt that ends without an output: a person may want it, and it has cost.
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
        self.record(batch, EventKind::Said { step, attempt, text, usage });
    }

    /// The attempt has succeeded, if its output can be mapped; if not, nothing is recorded.
    pub(super) fn finish(
        &mut self,
        step: StepRunId,
        attempt: u32,
        output: Output,
        usage: Usage,
        cut: bool,
        batch: &mut Batch,
    ) -> Result<(), Failure> {
        // The items' outputs are mapped when they are all there.
        if step.item.is_none() {
            self.map_output(step, &output.value)?;
        }
        self.finish_mapped(step, attempt, output, usage, cut, batch);
        Ok(())
    }

    pub(super) fn finish_mapped(
        &mut self,
        step: StepRunId,
        attempt: u32,
        output: Output,
        usage: Usage,
        cut: bool,
        batch: &mut Batch,
    ) {
        let reference = self.keep_output(batch, &output);
        self.hold(step, output.text.len(), output.value);
        self.record(batch, EventKind::Finished { step, attempt, output: reference, usage, cut });
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

    /// The step cannot even begin: an attempt that fails at once says so.
    pub(super) fn refuse(&mut self, step: StepRunId, error: Failure, batch: &mut Batch) {
        let owner = self.engine.0.runs.owner();
        let attempt = self.state().step_run(step).map_or(0, |run| run.attempts.len() as u32) + 1;
        self.record(batch, EventKind::Started { step, attempt, owner });
        self.fail(step, attempt, error, batch);
    }

    /// Whether this process has the attempt in its hands, or it lives elsewhere: a child run's row in the store is the
    /// fence of the attempt that it is.
    pub(super) fn is_open(&self, step: StepRunId, attempt: u32) -> bool {
        let owner = self.engine.0.runs.owner();
        let open = self.state().step_run(step).and_then(|run| run.open_attempt());
        open.is_some_and(|open| {
            open.number == attempt && (open.owner == owner || self.state().calling.contains(&step))
        })
    }

    /// Whether this attempt is the one that is to start next.
    fn may_start(&self, step: StepRunId, attempt: u32) -> bool {
        !self.state().phase.is_end()
            && !self.planner.is_winding_down()
            && self.state().step_run(step).is_some_and(|run| {
                run.status == StepStatus::Ready && run.attempts.len() as u32 + 1 == attempt
            })
    }

    /// Begins an attempt, with what it was waiting for.
    pub(super) async fn start(
        &mut self,
        step: StepRunId,
        attempt: u32,
        slot: Option<Slot>,
        permit: Option<PromptPermit>,
        batch: &mut Batch,
    ) {
        if self.may_start(step, attempt) {
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

    /// A step's output that is this very text: it is stored already.
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

    pub(super) fn cancel(&mut self, by: String, batch: &mut Batch) {
        let open = self.state().step_runs();
        let open = open.filter_map(|(step, run)| Some((step, run.open_attempt()?.number)));
        for (step, attempt) in open.collect::<Vec<_>>() {
            if let Some(call) = self.open.remove(&step) {
                call.abort.cancel();
                let said = self.channel.said(step, attempt);
                self.keep_partial_output(step, attempt, &said, Usage::default(), batch);
            }
            self.record(batch, EventKind::StepCancelled { step });
        }
        self.record(batch, EventKind::Cancelled { by });
    }
}

/// What an expression gave, or why it gave nothing.
pub(super) fn flatten<T>(evaluated: Result<Result<T, ExpressionError>, Failure>) -> Result<T, Failure> {
    evaluated?.map_err(|error| Failure::new(ErrorClass::Expression, error.to_string()))
}

impl From<Failure> for CallFailure {
    fn from(failure: Failure) -> Self {
        let timed_out = failure.class == ErrorClass::Timeout;
        Self { failure, retry_after: None, timed_out, usage: Usage::default() }
    }
}
