//! A step that calls a model. Its attempt lives in this process: an attempt that another process left open is over.

use super::{
    super::{
        actor::RunActor,
        attempt::{Answer, CallFailure, DEFAULT_TIMEOUT},
        batch::{Batch, Start, Wait},
        load::EARLIER,
        output::FileMode,
        request,
        steps::{Success, flatten},
    },
    aggregate,
};
use crate::{
    Result,
    models::{ModelRequest, PromptPermit, Slot, Turn},
    store::{messages, versions::RoleVersion},
};
use domain::{
    error::ErrorClass,
    event::{EventKind, Failure, PARTIAL_OUTPUT_LIMIT, head},
    file::FilePath,
    id::{ContentId, StepRunId},
    plan::Body,
    price::Price,
};
use std::{collections::BTreeMap, time::Duration};

/// Claims the attempt if its provider has a free slot and its prompt has room; otherwise waits for them.
pub async fn begin(
    run: &mut RunActor,
    step: StepRunId,
    attempt: u32,
    slot: Option<Slot>,
    permit: Option<PromptPermit>,
    batch: &mut Batch,
) {
    if permit.is_none() && run.queue.is_crowded() {
        return run.queue.wait_for_room(step, attempt, None);
    }
    let Some(role) = run.roles.get(&step.step).cloned() else {
        return run.refuse(step, Failure::new(ErrorClass::NoRoles, "the step has no role"), batch);
    };
    let resolved = match run.engine.0.models.resolve(&role.model).await {
        Ok(resolved) => resolved,
        Err(failure) => return run.refuse(step, failure, batch),
    };
    let Some(slot) = slot.or_else(|| resolved.limits.try_acquire()) else {
        return batch.waits.push(Wait {
            step,
            attempt,
            limits: resolved.limits,
            turn: turn(run, step),
            permit,
        });
    };
    let (request, shown) = match render(run, step, &role, resolved.model, batch).await {
        Ok(rendered) => rendered,
        Err(failure) => return run.refuse(step, failure, batch),
    };
    let bytes = request.bytes();
    let permit = permit.filter(|permit| permit.covers(bytes));
    let Some(permit) = permit.or_else(|| run.engine.0.prompts.try_acquire(bytes)) else {
        return run.queue.wait_for_room(step, attempt, Some(bytes));
    };
    let stored = match serde_json::to_string(&request) {
        Ok(stored) => stored,
        Err(error) => {
            let why = format!("its prompt cannot be stored: {error}");
            return run.refuse(step, Failure::new(ErrorClass::BadRequest, why), batch);
        }
    };
    let owner = run.engine.0.runs.owner();
    run.record(batch, EventKind::Started { step, attempt, owner });
    let prompt = run.keep(batch, stored);
    run.record(batch, EventKind::Prompt { step, attempt, prompt });
    let limit = run.state().plan.steps[step.index()].timeout_ms;
    let limit = limit.map_or(DEFAULT_TIMEOUT, Duration::from_millis);
    let client = slot.watch(resolved.client);
    batch.starts.push(Start { step, attempt, client, request, slot, permit, limit, shown });
}

/// A call that its provider rate-limited goes before new calls.
fn turn(run: &RunActor, step: StepRunId) -> Turn {
    let refused = run.state().step_run(step).is_some_and(|run| run.throttled_since.is_some());
    if refused { Turn::Again } else { Turn::New }
}

/// The request, and the content of each file that it shows.
async fn render(
    run: &mut RunActor,
    step: StepRunId,
    role: &RoleVersion,
    model: String,
    batch: &Batch,
) -> Result<(ModelRequest, BTreeMap<FilePath, ContentId>), Failure> {
    let plan = run.state().plan.clone();
    let rendered = run.evaluate_step(step, batch, |evaluator, planned, context| {
        let mapped = evaluator.input_mapping(planned, context)?;
        let prompt = match plan.steps[step.index()].body {
            Body::Aggregate => aggregate::prompt(evaluator, planned, &mapped, &plan.steps, context)?,
            _ => evaluator.prompt(planned, &mapped, context)?,
        };
        Ok(request::of_step(planned, prompt, role, model))
    });
    let mut request = flatten(rendered.await)?;
    let (compiled, local) = (run.compiled.clone(), request::is_local(role));
    let form = &compiled.outputs[step.index()];
    let (mut shown, mut mode) = (BTreeMap::new(), FileMode::Edits);
    if form.writes_files() {
        let files = run.files_to_show(request::files_budget(local), batch).await?;
        mode = match (local, files.is_empty()) {
            (true, _) => FileMode::WholeAndFew,
            (false, true) => FileMode::Whole,
            (false, false) => FileMode::Edits,
        };
        request::with_files(&mut request, &files);
        shown = files.into_iter().filter_map(|file| file.text.map(|_| (file.path, file.content))).collect();
    }
    form.ask(&mut request, run.state().step_run(step).and_then(|run| run.failure()), mode);
    if compiled.is_ask {
        let budget = request::conversation_budget(&request, role);
        let (engine, facts) = (&run.engine, &run.facts);
        let read = || async {
            let db = engine.0.store.read();
            messages::earlier(db, facts.task, &facts.path, facts.question, EARLIER, budget).await
        };
        let earlier = engine.persist(facts.run, read).await.map_err(|error| {
            tracing::error!(run = %facts.run, source = ?error, "a conversation is damaged");
            Failure::new(
                ErrorClass::Interrupted,
                "the conversation cannot be read; the server's log says why",
            )
        })?;
        request::with_conversation(&mut request, &earlier);
    }
    Ok((request, shown))
}

impl RunActor {
    /// Takes the result of a model call.
    pub(in super::super) async fn take(
        &mut self,
        step: StepRunId,
        attempt: u32,
        outcome: Result<Answer, CallFailure>,
        batch: &mut Batch,
    ) {
        if !self.is_open(step, attempt) {
            return;
        }
        let shown = self.open.remove(&step).map(|call| call.shown).unwrap_or_default();
        let answer = match outcome {
            Ok(answer) => {
                self.channel.end(step, attempt);
                answer
            }
            Err(failed) => {
                let partial = self.channel.partial_output(step, attempt);
                self.channel.end(step, attempt);
                let usage = failed.usage.at(self.price_of(step));
                self.keep_partial_output(step, attempt, &partial, usage, batch);
                return self.fail(step, attempt, failed, batch);
            }
        };
        let usage = answer.usage.at(self.price_of(step));
        let compiled = self.compiled.clone();
        let form = &compiled.outputs[step.index()];
        let bytes = if form.is_slow() { usize::MAX } else { answer.text.len() };
        let taken = match compiled.evaluate(bytes, || form.read(&answer)) {
            Ok(mut output) => {
                let changes = std::mem::take(&mut output.changes);
                match self.changed_files(changes, &shown, batch).await {
                    Ok(files) => {
                        let success = Success { output, files, usage, end: answer.end };
                        self.finish(step, attempt, success, batch)
                    }
                    Err(failure) => Err(failure),
                }
            }
            Err(failure) => Err(failure),
        };
        if let Err(failure) = taken {
            let partial = head(&answer.text, PARTIAL_OUTPUT_LIMIT);
            self.keep_partial_output(step, attempt, partial, usage, batch);
            self.fail(step, attempt, failure, batch);
        }
    }

    /// The price of the step's model in this run.
    fn price_of(&self, step: StepRunId) -> Option<Price> {
        self.state().steps.get(step.index())?.role.as_ref()?.price
    }
}

/// The process that called the model is gone, and the call with it.
pub fn found_open(run: &mut RunActor, step: StepRunId, attempt: u32, batch: &mut Batch) {
    let failure = Failure::new(ErrorClass::Interrupted, "the server stopped while this attempt ran");
    run.fail(step, attempt, failure, batch);
}
