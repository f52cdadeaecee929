//! Steps that wait for a person: the question, the answer, the time limit.
//!
//! While a run waits for nothing else it is in nobody's memory; an answer takes it up from its log.

use super::{
    actor::{Command, Decided, RunActor},
    batch::Batch,
};
use crate::{Engine, Error, Result, User, store::runs};
use domain::{
    access::Permission,
    error::ErrorClass,
    event::{Decision, EventKind, Failure},
    id::{RunNumber, StepRunId, Timestamp},
    key::ProjectKey,
    problem::Problem,
    run::StepStatus,
    view::RunDetail,
};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::time::Duration;
use tokio::{
    sync::oneshot,
    time::{sleep, timeout},
};

/// How long an answer may take until it is stored.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);
/// How long a note may be, in bytes.
const NOTE_LIMIT: usize = 10_000;
/// How many due runs are woken at once, and how long to wait before those that are still due are woken again.
const WAKES: u32 = 100;
const WAKE_AGAIN: Duration = Duration::from_secs(5);
/// The clock may be set while nobody waits for anything near: look again at least this often.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// A person's answer to a step that waits.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AnswerDraft {
    pub step_run: String,
    pub decision: Decision,
    /// With `edit`: what the step's output is to be.
    #[serde(default)]
    pub output: Option<Value>,
    /// A note, for whoever reads the run.
    #[serde(default)]
    pub text: Option<String>,
}

impl Engine {
    /// Decides about a step that waits. Editors.
    ///
    /// # Errors
    /// `Conflict` when it does not wait (any more): the first answer counts. `Invalid` when an edit has no output, or one
    /// that does not meet the step's schema: the step goes on waiting.
    pub async fn answer(
        &self,
        user: &User,
        project: &ProjectKey,
        run: RunNumber,
        draft: AnswerDraft,
    ) -> Result<RunDetail> {
        let row = self.run_row(user, project, run, Permission::Editor).await?;
        let step: StepRunId = draft.step_run.parse().map_err(|_| {
            Error::invalid("stepRun", "write the id of a step run, such as 3, or 3.14 for an item")
        })?;
        let note = draft.text.unwrap_or_default();
        if note.len() > NOTE_LIMIT {
            return Err(Error::invalid("text", format!("at most {NOTE_LIMIT} bytes")));
        }
        if draft.output.is_some() && draft.decision != Decision::Edit {
            return Err(Error::invalid("output", "give it with the decision 'edit' alone"));
        }
        if row.summary()?.status.is_end() {
            return Err(super::actor::has_ended(run));
        }
        let decided = Decided { decision: draft.decision, by: user.name.clone(), note, output: draft.output };
        let (reply, answer) = oneshot::channel();
        self.deliver(row.id(), Command::Answer { step, decided, reply });
        match timeout(ANSWER_LIMIT, answer).await {
            Ok(Ok(answered)) => answered?,
            Ok(Err(_)) => {
                return Err(Error::Unavailable("the run could not be reached; try again".to_owned()));
            }
            Err(_) => {
                let why = "the answer could not be stored yet; look again in a while";
                return Err(Error::Unavailable(why.to_owned()));
            }
        }
        self.run(user, project, run).await
    }

    /// Wakes runs whose time limits have come, for as long as the server runs.
    pub(super) async fn watch_time_limits(self) {
        let stopping = self.0.runs.stopping();
        loop {
            let pause = match runs::next_wakes(self.0.store.read(), WAKES).await {
                Ok(next) => self.wake_due(&next),
                Err(error) => {
                    tracing::error!(%error, source = ?error, "time limits could not be read");
                    WAKE_AGAIN
                }
            };
            tokio::select! {
                () = sleep(pause) => {}
                () = self.0.runs.alarm.notified() => {}
                () = stopping.cancelled() => return,
            }
        }
    }

    /// How long until somebody has to be woken again.
    fn wake_due(&self, next: &[(domain::id::RunId, Timestamp)]) -> Duration {
        let now = crate::store::now();
        for (run, _) in next.iter().filter(|(_, at)| *at <= now) {
            self.advance(*run);
        }
        match next.first() {
            Some((_, at)) if *at <= now => WAKE_AGAIN,
            Some((_, at)) => Duration::from_millis(at.since(now)).min(LONGEST_SLEEP),
            None => LONGEST_SLEEP,
        }
    }
}

impl RunActor {
    /// Asks: the step waits from here on.
    pub(super) fn ask(&mut self, step: StepRunId, batch: &mut Batch) {
        let asked = self.seen_by(step, |evaluator, planned, context| {
            let mapped = evaluator.input_mapping(planned, context)?;
            Ok((evaluator.question(planned, &mapped, context)?, mapped))
        });
        let (question, mapped) = match asked {
            Ok(asked) => asked,
            Err(error) => {
                let error: domain::expression::ExpressionError = error;
                return self.refuse(step, Failure::new(ErrorClass::Expression, error.to_string()), batch);
            }
        };
        let question = self.keep(batch, question);
        let proposal = self.keep_json(batch, &proposal(mapped));
        let planned = &self.compiled.plan.steps[step.index()];
        let until = planned.timeout_ms.map(|limit| Timestamp(batch.at.0.saturating_add_unsigned(limit)));
        let on_timeout = self.compiled.template.steps[step.index()].on_timeout();
        self.record(batch, EventKind::Waiting { step, question, proposal, until, on_timeout });
    }

    pub(super) async fn answer(
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
        let Decided { decision, by, note, output } = decided;
        let value = match (decision, output) {
            (Decision::Reject, _) => None,
            (Decision::Approve, _) => Some(self.proposed(step).await?),
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

    /// What time limits decide that have come.
    pub(super) async fn expire(&mut self, batch: &mut Batch) {
        let state = self.state();
        let late = state.waiting.iter().copied().filter(|id| {
            let question = state.step_run(*id).and_then(|run| run.question.as_ref());
            question.and_then(|question| question.until).is_some_and(|until| until <= batch.at)
        });
        for step in late.collect::<Vec<_>>() {
            let on_timeout = self.compiled.template.steps[step.index()].on_timeout();
            let value = match on_timeout {
                Decision::Reject => None,
                Decision::Approve | Decision::Edit => match self.proposed(step).await {
                    Ok(value) => Some(value),
                    Err(error) => {
                        // It goes on waiting: whoever watches the time limits comes again.
                        tracing::error!(run = %self.run, %step, %error, source = ?error, "a proposal could not be read");
                        continue;
                    }
                },
            };
            let problems = value
                .as_ref()
                .map(|value| self.compiled.outputs[step.index()].problems(value))
                .unwrap_or_default();
            let decided = match problems.first() {
                Some(problem) => Err(problem.to_string()),
                None => self
                    .decide(step, on_timeout, None, String::new(), value, batch)
                    .map_err(|why| why.message),
            };
            if let Err(why) = decided {
                let rejected = self.decide(step, Decision::Reject, None, why, None, batch);
                debug_assert!(rejected.is_ok(), "nothing is mapped of a rejection");
            }
        }
        let plan = self.compiled.plan.clone();
        let limit = |step: StepRunId| plan.steps[step.index()].timeout_ms;
        let state = self.state();
        let slow = state.calling.iter().filter_map(|&id| {
            let attempt = state.step_run(id)?.open_attempt()?;
            let late = batch.at.since(attempt.started_at) >= limit(id)?;
            late.then_some((id, attempt.number))
        });
        for (step, attempt) in slow.collect::<Vec<_>>() {
            let after = limit(step).unwrap_or_default();
            let failure =
                Failure::new(ErrorClass::Timeout, format!("its run had not ended within {after} ms"));
            self.fail(step, attempt, failure, None, true, batch);
            batch.stops.push((step, attempt));
        }
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
                self.hold(step, output.value);
                Some(reference)
            }
            None => None,
        };
        self.record(batch, EventKind::Answered { step, decision, by, note, output });
        Ok(())
    }

    /// What is up for approval.
    async fn proposed(&self, step: StepRunId) -> Result<Value> {
        let question = self.state().step_run(step).and_then(|run| run.question.as_ref());
        let proposal = question.ok_or_else(|| Error::internal("a step waits that asks nothing"))?;
        let text = self.engine.stored_text(self.run, proposal.proposal.id).await?;
        serde_json::from_str(&text).map_err(Error::internal)
    }
}

/// The mapped input, all of them by name, or `true` where nothing is mapped: then approval itself is the output.
fn proposal(mapped: Map<String, Value>) -> Value {
    match mapped.len() {
        0 => Value::Bool(true),
        1 => mapped.into_iter().next().map_or(Value::Null, |(_, value)| value),
        _ => Value::Object(mapped),
    }
}
