//! A step that calls a model. A call lives in the process that makes it: an attempt whose call another process has begun
//! is over, and one whose call has not begun is called with the request that its claim stored.

use super::{
    super::{
        actor::RunActor,
        attempt::{self, Answer, CallFailure, DEFAULT_TIMEOUT},
        batch::{Batch, Start, Wait},
        claims::Claim,
        load::EARLIER,
        mailbox::Command,
        output::FileMode,
        request,
        steps::{Success, flatten},
    },
    News, aggregate,
};
use crate::{
    Result,
    models::{ModelRequest, Priority, PromptPermit, Slot},
    store::{messages, versions::RoleVersion},
};
use domain::{
    error::ErrorClass,
    event::{EventKind, Failure, PARTIAL_OUTPUT_LIMIT, PendingCall, head},
    file::FilePath,
    id::{ContentId, StepRunId},
    plan::Body,
    price::Price,
    run::FILE_LIMIT,
    usage::Usage,
};
use futures::FutureExt;
use std::{collections::BTreeMap, panic::AssertUnwindSafe, time::Duration};

/// Claims the attempt if its provider has a free slot and its prompt has room; otherwise waits for them.
pub async fn begin(
    run: &mut RunActor,
    step: StepRunId,
    attempt: u32,
    slot: Option<Slot>,
    permit: Option<PromptPermit>,
    batch: &mut Batch,
) {
    let start = match admit(run, step, attempt, (slot, permit), Source::Step, batch).await {
        Ok(Some(start)) => start,
        Ok(None) => return,
        Err(failure) => return run.refuse(step, failure, batch),
    };
    let stored = match serde_json::to_string(&start.request) {
        Ok(stored) => stored,
        Err(error) => {
            let why = format!("its prompt cannot be stored: {error}");
            return run.refuse(step, Failure::new(ErrorClass::BadRequest, why), batch);
        }
    };
    let waits = !run.engine.0.delivery.keeps();
    let owner = Some(run.engine.0.runs.owner());
    run.record(batch, EventKind::Started { step, attempt, owner });
    let prompt = run.keep(batch, stored);
    let pending = waits.then(|| PendingCall { shown: start.shown.clone() });
    run.record(batch, EventKind::Prompt { step, attempt, prompt, pending });
    if waits { batch.claims.push(start) } else { batch.starts.push(start) }
}

/// Begins the call of a claimed attempt, which waited for its delivery.
pub fn begin_call(run: &mut RunActor, start: Start, batch: &mut Batch) {
    let (step, attempt, owner) = (start.step, start.attempt, run.engine.0.runs.owner());
    run.record(batch, EventKind::CallBegan { step, attempt, owner });
    batch.starts.push(start);
}

/// A claimed attempt with the request that its claim stored. None: it waits for a slot of its provider or for prompt
/// room.
pub async fn restore(
    run: &mut RunActor,
    step: StepRunId,
    attempt: u32,
    slot: Option<Slot>,
    permit: Option<PromptPermit>,
    batch: &mut Batch,
) -> Result<Option<Start>, Failure> {
    admit(run, step, attempt, (slot, permit), Source::Claim, batch).await
}

/// Where the request of a call comes from.
#[derive(Clone, Copy)]
enum Source {
    /// It is rendered from the step.
    Step,
    /// It is stored with the attempt's claim.
    Claim,
}

/// Collects what the call needs. None: it waits for a slot of its provider or for prompt room.
async fn admit(
    run: &mut RunActor,
    step: StepRunId,
    attempt: u32,
    (slot, permit): (Option<Slot>, Option<PromptPermit>),
    source: Source,
    batch: &mut Batch,
) -> Result<Option<Start>, Failure> {
    if permit.is_none() && run.queue.is_crowded() {
        run.queue.wait_for_room(step, attempt, None);
        return Ok(None);
    }
    let role = run.roles.get(&step.step).cloned();
    let role = role.ok_or_else(|| Failure::new(ErrorClass::NoRoles, "the step has no role"))?;
    let resolved = run.engine.0.models.resolve(&role.model).await?;
    let Some(slot) = slot.or_else(|| resolved.limits.try_acquire()) else {
        let (limits, priority) = (resolved.limits, priority(run, step));
        batch.waits.push(Wait { step, attempt, limits, priority, permit });
        return Ok(None);
    };
    let (request, shown) = match source {
        Source::Step => render(run, step, &role, resolved.model, batch).await?,
        Source::Claim => stored(run, step, attempt, batch).await?,
    };
    let bytes = request.bytes();
    let permit = permit.filter(|permit| permit.covers(bytes));
    let Some(permit) = permit.or_else(|| run.engine.0.prompts.try_acquire(bytes)) else {
        run.queue.wait_for_room(step, attempt, Some(bytes));
        return Ok(None);
    };
    let limit = run.state().plan.steps[step.index()].timeout_ms;
    let limit = limit.map_or(DEFAULT_TIMEOUT, Duration::from_millis);
    let client = slot.watch(resolved.client);
    Ok(Some(Start { step, attempt, client, request, slot, permit, limit, shown }))
}

/// The request that was stored with the attempt's claim, and the content of each file that it shows.
async fn stored(
    run: &RunActor,
    step: StepRunId,
    attempt: u32,
    batch: &Batch,
) -> Result<(ModelRequest, BTreeMap<FilePath, ContentId>), Failure> {
    let damaged = |error: &str| {
        tracing::error!(run = %run.facts.run, %step, attempt, error, "a stored prompt is damaged");
        Failure::new(ErrorClass::Interrupted, "its stored prompt cannot be read; the server's log says why")
    };
    let (prompt, pending) = run.pending_call(step, attempt).ok_or_else(|| damaged("the log has none"))?;
    let text = run.text(prompt.id, batch).await?;
    let request = serde_json::from_str(&text).map_err(|error| damaged(&error.to_string()))?;
    Ok((request, pending.shown.clone()))
}

/// A call that its provider rate-limited goes before new calls.
fn priority(run: &RunActor, step: StepRunId) -> Priority {
    let refused = run.state().step_run(step).is_some_and(|run| run.throttled_since.is_some());
    if refused { Priority::Refused } else { Priority::New }
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

/// Makes the model call of an attempt, after the commit that says so. Dropping the actor aborts it.
pub fn call(run: &mut RunActor, start: Start) {
    let Start { step, attempt, client, request, slot, permit, limit, shown } = start;
    run.channel.begin(step, attempt);
    let abort = run.ended.child_token();
    run.open.insert(step, abort.clone());
    let (mail, channel) = (run.mail.clone(), run.channel.clone());
    let paths = run.compiled.outputs[step.index()].writes_files().then(|| run.mail.clone());
    tokio::spawn(async move {
        let requested = |path| {
            if let Some(mail) = &paths {
                drop(mail.send(Command::News { step, attempt, news: News::FileRequested(path) }));
            }
        };
        let call = attempt::call(client, request, limit, &channel, step, attempt, requested);
        let outcome = tokio::select! {
            // A panic is reported as a failure; otherwise the run would wait for the attempt forever.
            outcome = AssertUnwindSafe(call).catch_unwind() => {
                outcome.unwrap_or_else(|_| Err(CallFailure::panicked()))
            }
            () = abort.cancelled() => return,
        };
        drop((slot, permit));
        // The send fails if the run has no actor any more. The next actor reads the log.
        drop(mail.send(Command::News { step, attempt, news: News::Answer { outcome, shown } }));
    });
}

/// Takes the answer of a model call, or the path of a file that it has begun.
pub async fn take(run: &mut RunActor, step: StepRunId, attempt: u32, news: News, batch: &mut Batch) {
    if !run.is_open(step, attempt) {
        return;
    }
    match news {
        News::Answer { outcome, shown } => run.take_answer(step, attempt, outcome, &shown, batch).await,
        News::FileRequested(path) => {
            let known = &run.state().files_requested;
            if known.len() < FILE_LIMIT && !known.contains(&path) {
                run.record(batch, EventKind::FileRequested { step, attempt, path });
            }
        }
        _ => debug_assert!(false, "a model call has no such news"),
    }
}

/// Aborts the call, and keeps what the model has answered so far.
pub fn stop(run: &mut RunActor, step: StepRunId, attempt: u32, batch: &mut Batch) {
    if let Some(abort) = run.open.remove(&step) {
        abort.cancel();
        let partial = run.channel.partial_output(step, attempt);
        run.keep_partial_output(step, attempt, &partial, Usage::default(), batch);
    }
}

impl RunActor {
    async fn take_answer(
        &mut self,
        step: StepRunId,
        attempt: u32,
        outcome: Result<Answer, CallFailure>,
        shown: &BTreeMap<FilePath, ContentId>,
        batch: &mut Batch,
    ) {
        self.open.remove(&step);
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
                match self.changed_files(changes, shown, batch).await {
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

/// A call that has not begun is delivered again. Any other is gone with the process that made it: it may have reached the
/// provider, so the attempt is interrupted.
pub fn found_open(run: &mut RunActor, step: StepRunId, attempt: u32, batch: &mut Batch) {
    if run.pending_call(step, attempt).is_some() {
        run.claimed.insert(step, Claim::stored(attempt));
        return;
    }
    let failure = Failure::new(ErrorClass::Interrupted, "the server stopped while this attempt ran");
    run.fail(step, attempt, failure, batch);
}
