//! A step that waits for a person: the question, the answer, the time limit. A run that waits for nothing else is not
//! kept in memory; an answer loads it from its log.

use super::super::{actor::RunActor, batch::Batch, mailbox::Decided, steps::flatten};
use crate::{Error, Result};
use domain::{
    error::ErrorClass,
    event::{Decision, EventKind, Failure},
    id::{StepRunId, Timestamp},
    problem::Problem,
    run::StepStatus,
};
use serde_json::{Map, Value};

/// Asks the question; the step waits from here on.
pub async fn begin(run: &mut RunActor, step: StepRunId, batch: &mut Batch) {
    let asked = run.evaluate_step(step, batch, |evaluator, planned, context| {
        let mapped = evaluator.input_mapping(planned, context)?;
        Ok((evaluator.question(planned, &mapped, context)?, mapped))
    });
    let (question, mapped) = match flatten(asked.await) {
        Ok(asked) => asked,
        Err(failure) => return run.refuse(step, failure, batch),
    };
    let question = run.keep(batch, question);
    let proposal = run.keep_json(batch, proposal(mapped).to_string());
    let limit = run.state().plan.steps[step.index()].timeout_ms;
    let until = limit.map(|limit| Timestamp(batch.at.0.saturating_add_unsigned(limit)));
    let on_timeout = run.compiled.template.steps[step.index()].on_timeout();
    run.record(batch, EventKind::Waiting { step, question, proposal, until, on_timeout });
}

/// Applies the question's time limit, if it has been reached by `now`.
pub async fn deadline(run: &mut RunActor, step: StepRunId, now: Timestamp, batch: &mut Batch) {
    let question = run.state().step_run(step).and_then(|run| run.question.as_ref());
    if question.and_then(|question| question.until).is_none_or(|until| until > now) {
        return;
    }
    let on_timeout = run.compiled.template.steps[step.index()].on_timeout();
    let value = match on_timeout {
        Decision::Reject => Ok(None),
        Decision::Approve | Decision::Edit => run.proposed(step, batch).await.map(Some),
    };
    let decided = match value {
        Ok(Some(value)) if let Some(problem) = run.problem(step, &value) => Err(problem.to_string()),
        Ok(value) => {
            run.decide(step, on_timeout, None, String::new(), value, batch).map_err(|why| why.message)
        }
        Err(failure) => Err(failure.message),
    };
    if let Err(why) = decided {
        let rejected = run.decide(step, Decision::Reject, None, why, None, batch);
        debug_assert!(rejected.is_ok(), "nothing is mapped of a rejection");
    }
}

impl RunActor {
    /// Takes a person's answer.
    ///
    /// # Errors
    /// `Conflict` if the step does not wait; `Invalid` if the answer cannot be its output: the step keeps waiting.
    pub(in super::super) async fn answer(
        &mut self,
        step: StepRunId,
        decided: Decided,
        batch: &mut Batch,
    ) -> Result<()> {
        let run = self.state().step_run(step).ok_or_else(|| Error::not_found("step run", step))?;
        if run.status != StepStatus::Waiting || self.state().phase.is_end() {
            let label = self.state().label(step);
            let answered = run.question.as_ref().and_then(|question| question.answer.as_ref());
            return Err(Error::Conflict(match answered {
                Some(answer) => {
                    let by = answer.by.as_deref().unwrap_or("the time limit");
                    format!("'{label}' was answered before, by {by}")
                }
                None => format!("'{label}' does not wait for an answer"),
            }));
        }
        if let Some(asked) = &run.child_question {
            let (label, child) = (self.state().label(step), asked.run);
            return Err(Error::Conflict(format!("'{label}' waits with run {child}: answer it there")));
        }
        let Decided { decision, by, note, output } = decided;
        let value = match (decision, output) {
            (Decision::Reject, _) => None,
            (Decision::Approve, _) => Some(self.proposed(step, batch).await.map_err(Error::internal)?),
            (Decision::Edit, Some(output)) => Some(output),
            (Decision::Edit, None) => return Err(Error::invalid("output", "an edit needs one")),
        };
        if let Some(value) = &value {
            let problems = self.compiled.outputs[step.index()].problems(value);
            if !problems.is_empty() {
                return Err(Error::Invalid(problems));
            }
        }
        self.decide(step, decision, Some(by), note, value, batch)
            .map_err(|failure| Error::Invalid(vec![Problem::new("output", failure.message)]))
    }

    fn problem(&self, step: StepRunId, value: &Value) -> Option<Problem> {
        self.compiled.outputs[step.index()].problems(value).into_iter().next()
    }

    fn decide(
        &mut self,
        step: StepRunId,
        decision: Decision,
        by: Option<String>,
        note: String,
        value: Option<Value>,
        batch: &mut Batch,
    ) -> Result<(), Failure> {
        let output = match value {
            Some(value) => {
                if step.item.is_none() {
                    self.map_output(step, &value)?;
                }
                let output = self.compiled.outputs[step.index()].of_value(value);
                let reference = self.keep_output(batch, &output);
                self.hold(step, output.text.len(), output.value);
                Some(reference)
            }
            None => None,
        };
        self.record(batch, EventKind::Answered { step, decision, by, note, output });
        Ok(())
    }

    /// The value to be approved.
    async fn proposed(&self, step: StepRunId, batch: &Batch) -> Result<Value, Failure> {
        let question = self.state().step_run(step).and_then(|run| run.question.as_ref());
        let damaged = || Failure::new(ErrorClass::Interrupted, "what is up for approval cannot be read");
        let proposal = question.ok_or_else(damaged)?.proposal.id;
        let text = self.text(proposal, batch).await?;
        serde_json::from_str(&text).map_err(|_| damaged())
    }
}

/// The value to be approved: the single mapped input, an object of several, or `true` if nothing is mapped: then
/// approval itself is the output.
fn proposal(mapped: Map<String, Value>) -> Value {
    match mapped.len() {
        0 => Value::Bool(true),
        1 => mapped.into_iter().next().map_or(Value::Null, |(_, value)| value),
        _ => Value::Object(mapped),
    }
}
