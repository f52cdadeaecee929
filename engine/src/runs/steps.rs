//! What a conductor does with one step: claims an attempt, takes its answer, fails it, evaluates its condition; and how the
//! run comes to its end.

use super::{
    attempt::{Answer, CallFailure, DEFAULT_TIMEOUT},
    conductor::Conductor,
    output, request,
    turn::{Start, Turn, Wait},
};
use crate::{Result, models::Slot};
use domain::{
    error::ErrorClass,
    event::{EventKind, Failure, OUTPUT_LIMIT, TextRef, head},
    expression::Context,
    id::{StepRunId, Timestamp},
    run::{StepStatus, Verdict, backoff},
};
use serde_json::Value;
use std::time::Duration;

impl Conductor {
    pub(super) fn take(
        &mut self,
        step: StepRunId,
        attempt: u32,
        outcome: Result<Answer, CallFailure>,
        turn: &mut Turn,
    ) {
        if !self.is_open(step, attempt) {
            return;
        }
        self.open.remove(&step);
        self.channel.end(step, attempt);
        let answer = match outcome {
            Ok(answer) => answer,
            Err(error) => {
                return self.fail(step, attempt, error.failure, error.retry_after, error.timed_out, turn);
            }
        };
        let name = self.state().name(step).to_owned();
        let schema = self.recipe.outputs[step.index()].as_ref();
        let read = self.recipe.aside(answer.text.len(), || output::of_answer(schema, &answer));
        let (output, text) = match read {
            Ok(read) => read,
            Err(failure) => return self.fail(step, attempt, failure, None, false, turn),
        };
        let mapped = self.recipe.aside(text.len(), || {
            self.recipe.evaluator.output_mapping(&self.recipe.template.steps[step.index()], &output)
        });
        match mapped {
            Ok(mapped) => self.mapped.extend(mapped),
            Err(error) => {
                let failure = Failure::new(ErrorClass::Expression, error.to_string());
                return self.fail(step, attempt, failure, None, false, turn);
            }
        }
        let reference = self.keep(turn, text);
        self.outputs.insert(name, output);
        let usage = answer.usage;
        self.record(turn, EventKind::Finished { step, attempt, output: reference, usage, cut: answer.cut });
    }

    pub(super) fn fail(
        &mut self,
        step: StepRunId,
        attempt: u32,
        error: Failure,
        retry_after: Option<Duration>,
        timed_out: bool,
        turn: &mut Turn,
    ) {
        let retry_at = match self.state().verdict(step, error.class) {
            Verdict::Retry { nth } => {
                let wait = backoff(nth, rand::random(), retry_after);
                Some(Timestamp(turn.at.0 + wait.as_millis() as i64))
            }
            Verdict::Final => None,
        };
        let kind = match error.class {
            ErrorClass::Interrupted => EventKind::Interrupted { step, attempt, error, retry_at },
            _ if timed_out => EventKind::TimedOut { step, attempt, error, retry_at },
            _ => EventKind::StepFailed { step, attempt, error, retry_at },
        };
        self.record(turn, kind);
    }

    fn is_open(&self, step: StepRunId, attempt: u32) -> bool {
        let owner = self.engine.0.runs.owner();
        self.state().steps[step.index()]
            .open_attempt()
            .is_some_and(|open| open.number == attempt && open.owner == owner)
    }

    /// Whether this attempt is the one that is to start next.
    fn may_start(&self, step: StepRunId, attempt: u32) -> bool {
        let state = &self.state().steps[step.index()];
        !self.state().phase.is_end()
            && !self.planner.is_winding_down()
            && state.status == StepStatus::Ready
            && state.attempts.len() as u32 + 1 == attempt
    }

    /// Claims the attempt if its provider has a slot for it, else waits for one.
    pub(super) async fn start(&mut self, step: StepRunId, attempt: u32, slot: Option<Slot>, turn: &mut Turn) {
        if !self.may_start(step, attempt) {
            return;
        }
        let owner = self.engine.0.runs.owner();
        let Some(role) = self.roles.get(&step.step).cloned() else {
            let failure = Failure::new(ErrorClass::NoRoles, "the step has no role");
            self.record(turn, EventKind::Started { step, attempt, owner });
            return self.fail(step, attempt, failure, None, false, turn);
        };
        let resolved = match self.engine.0.models.resolve(&role.model).await {
            Ok(resolved) => resolved,
            Err(failure) => {
                self.record(turn, EventKind::Started { step, attempt, owner });
                return self.fail(step, attempt, failure, None, false, turn);
            }
        };
        let Some(slot) = slot.or_else(|| resolved.limits.try_acquire()) else {
            turn.waits.push(Wait { step, attempt, limits: resolved.limits });
            return;
        };
        self.record(turn, EventKind::Started { step, attempt, owner });
        let planned = &self.recipe.template.steps[step.index()];
        let rendered = self.recipe.aside(self.bytes(), || {
            request::of_step(&self.recipe.evaluator, planned, &role, resolved.model, &self.context())
        });
        let mut request = match rendered {
            Ok(request) => request,
            Err(error) => {
                let failure = Failure::new(ErrorClass::Expression, error.to_string());
                return self.fail(step, attempt, failure, None, false, turn);
            }
        };
        if let Some(schema) = &self.recipe.outputs[step.index()] {
            schema.ask(&mut request, self.state().steps[step.index()].failure());
        }
        if self.recipe.is_ask {
            request::with_conversation(&mut request, &role, &self.earlier);
        }
        let limit =
            self.recipe.plan.steps[step.index()].timeout_ms.map_or(DEFAULT_TIMEOUT, Duration::from_millis);
        let prompt = self.keep(turn, serde_json::json!(request).to_string());
        self.record(turn, EventKind::Prompt { step, attempt, prompt });
        turn.starts.push(Start { step, attempt, client: resolved.client, request, slot, limit });
    }

    pub(super) fn evaluate(&mut self, step: StepRunId, turn: &mut Turn) {
        let condition = self.recipe.template.steps[step.index()].condition.clone().unwrap_or_default();
        let holds =
            self.recipe.aside(self.bytes(), || self.recipe.evaluator.condition(&condition, &self.context()));
        match holds {
            Ok(holds) => self.record(turn, EventKind::ConditionEvaluated { step, holds }),
            Err(error) => {
                let owner = self.engine.0.runs.owner();
                let failure = Failure::new(ErrorClass::Expression, format!("its condition: {error}"));
                self.record(turn, EventKind::Started { step, attempt: 1, owner });
                self.fail(step, 1, failure, None, false, turn);
            }
        }
    }

    pub(super) fn complete(&mut self, turn: &mut Turn) {
        let output = self.recipe.aside(self.bytes(), || {
            self.recipe.evaluator.run_output(&self.recipe.template, &self.recipe.plan, &self.context())
        });
        let value = match output {
            Ok(value) => value,
            Err(error) => {
                let error = Failure::new(ErrorClass::Expression, format!("the template's output: {error}"));
                return self.record(turn, EventKind::Failed { error, step: None });
            }
        };
        let text = match value {
            Value::String(text) => text,
            Value::Null => String::new(),
            other => format!("{other:#}"),
        };
        let output = self.stored(&text).unwrap_or_else(|| self.keep(turn, text.clone()));
        let shown = head(&text, OUTPUT_LIMIT).to_owned();
        turn.output = Some(text);
        self.record(turn, EventKind::Completed { output, shown });
    }

    /// A step's output that is this very text: it is stored already.
    fn stored(&self, text: &str) -> Option<TextRef> {
        let same = |name: &str| self.outputs.get(name).and_then(Value::as_str) == Some(text);
        let mut steps = self.state().steps.iter().zip(&self.recipe.plan.steps).rev();
        steps.find(|(_, planned)| same(&planned.name)).and_then(|(step, _)| step.output.clone())
    }

    pub(super) fn cancel(&mut self, by: String, turn: &mut Turn) {
        let open: Vec<_> = (0..self.state().steps.len())
            .filter(|&step| self.state().steps[step].open_attempt().is_some())
            .map(StepRunId::of)
            .collect();
        for step in open {
            if let Some(abort) = self.open.remove(&step) {
                abort.cancel();
            }
            self.record(turn, EventKind::StepCancelled { step });
        }
        self.record(turn, EventKind::Cancelled { by });
    }

    /// About how much expressions can read.
    fn bytes(&self) -> usize {
        let input = self.state().input.as_ref().map_or(0, |input| input.bytes);
        let earlier: usize = self.earlier.iter().map(|message| message.content.len()).sum();
        (input + self.state().bytes_generated) as usize + earlier
    }

    fn context(&self) -> Context<'_> {
        Context {
            input: &self.input,
            outputs: &self.outputs,
            mapped: &self.mapped,
            conversation: &self.conversation,
        }
    }
}
