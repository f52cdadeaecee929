//! What an actor does with one step run: claims an attempt, takes its answer, fails it, evaluates its condition; and
//! how the run comes to its end. Bodies other than a model call have files of their own.

use super::{
    actor::RunActor,
    attempt::{Answer, CallFailure, DEFAULT_TIMEOUT},
    batch::{Batch, Start, Wait},
    output::{FileMode, Output},
    request,
};
use crate::{Result, models::Slot, store::files};
use domain::{
    error::ErrorClass,
    event::{EventKind, Failure, OUTPUT_LIMIT, SAID_LIMIT, TextRef, head},
    expression::{Context, Evaluator, Item},
    file::{FileChange, FilePath, MAX_CHANGES, apply_changes},
    id::{StepRunId, Timestamp},
    plan::Body,
    price::Price,
    run::{StepStatus, Verdict, backoff},
    template::Step,
    usage::Usage,
};
use serde_json::Value;
use std::time::Duration;

impl RunActor {
    pub(super) async fn take(
        &mut self,
        step: StepRunId,
        attempt: u32,
        outcome: Result<Answer, CallFailure>,
        batch: &mut Batch,
    ) {
        if !self.is_open(step, attempt) {
            return;
        }
        self.open.remove(&step);
        let answer = match outcome {
            Ok(answer) => {
                self.channel.end(step, attempt);
                answer
            }
            Err(error) => {
                let said = self.channel.said(step, attempt);
                self.channel.end(step, attempt);
                self.say(step, attempt, &said, error.usage.at(self.price_of(step)), batch);
                return self.fail(step, attempt, error.failure, error.retry_after, error.timed_out, batch);
            }
        };
        let usage = answer.usage.at(self.price_of(step));
        let form = &self.compiled.outputs[step.index()];
        let taken = match self.compiled.evaluate(answer.text.len(), || form.read(&answer)) {
            Ok(output) => {
                self.look_at_files(&output.changes, batch).await;
                self.finish(step, attempt, output, usage, answer.cut, batch)
            }
            Err(failure) => Err(failure),
        };
        if let Err(failure) = taken {
            self.say(step, attempt, head(&answer.text, SAID_LIMIT), usage, batch);
            self.fail(step, attempt, failure, None, false, batch);
        }
    }

    /// Keeps what the model said in an attempt that ends without an output: a person may want it, and it has cost.
    pub(super) fn say(&mut self, step: StepRunId, attempt: u32, said: &str, usage: Usage, batch: &mut Batch) {
        if said.is_empty() && usage.is_none() {
            return;
        }
        let text = self.keep(batch, said.to_owned());
        self.record(batch, EventKind::Said { step, attempt, text, usage });
    }

    /// Brings the files that are to be edited up to date: another run on the branch may have written since this one
    /// began.
    async fn look_at_files(&mut self, changes: &[FileChange], batch: &Batch) {
        let edited = changes.iter().filter(|change| change.edits.is_some());
        let paths = edited.filter_map(|change| FilePath::parse(&change.path).ok());
        for path in paths.take(MAX_CHANGES).filter(|path| !batch.written.contains_key(path)) {
            match files::newest_of(self.engine.0.store.read(), self.task, &self.path, &path).await {
                Ok(Some(text)) => drop(self.files.insert(path, text)),
                Ok(None) => {}
                Err(error) => {
                    tracing::error!(run = %self.run, %path, %error, source = ?error, "a file could not be read again")
                }
            }
        }
    }

    /// What the step's model costs in this run.
    fn price_of(&self, step: StepRunId) -> Option<Price> {
        self.state().steps.get(step.index())?.role.as_ref()?.price
    }

    /// The attempt has succeeded, if what it gives can be taken; if not, nothing is recorded.
    pub(super) fn finish(
        &mut self,
        step: StepRunId,
        attempt: u32,
        output: Output,
        usage: Usage,
        cut: bool,
        batch: &mut Batch,
    ) -> Result<(), Failure> {
        let bytes = output.changes.iter().map(FileChange::bytes).sum();
        let apply = || apply_changes(&output.changes, |path| self.files.get(path).cloned());
        let written = self.compiled.evaluate(bytes, apply);
        let written = written.map_err(|error| Failure::new(ErrorClass::InvalidOutput, error.to_string()))?;
        // The items' outputs are mapped when they are all there.
        if step.item.is_none() {
            self.map_output(step, &output.value)?;
        }
        for file in written {
            let content = self.keep(batch, file.content.clone());
            let (path, edited) = (file.path.clone(), file.edited);
            batch.written.insert(file.path.clone(), file.content.clone());
            self.files.insert(file.path, file.content);
            self.record(batch, EventKind::FileWritten { step, attempt, path, content, edited });
        }
        let reference = self.keep_output(batch, &output);
        self.hold(step, output.value);
        self.record(batch, EventKind::Finished { step, attempt, output: reference, usage, cut });
        Ok(())
    }

    /// Puts into the context what the step's `outputMapping` says.
    pub(super) fn map_output(&mut self, step: StepRunId, output: &Value) -> Result<(), Failure> {
        let planned = &self.compiled.template.steps[step.index()];
        if planned.output_mapping.is_empty() {
            return Ok(());
        }
        let evaluate = || self.compiled.evaluator.output_mapping(planned, output);
        let mapped = self.compiled.evaluate(self.bytes(), evaluate);
        let mapped = mapped.map_err(|error| Failure::new(ErrorClass::Expression, error.to_string()))?;
        self.mapped.write(&self.compiled.plan, step.index(), mapped);
        Ok(())
    }

    pub(super) fn keep_output(&self, batch: &mut Batch, output: &Output) -> TextRef {
        TextRef { json: output.json, ..self.keep(batch, output.text.clone()) }
    }

    /// Holds a step run's output, for those that read it.
    pub(super) fn hold(&mut self, step: StepRunId, output: Value) {
        match step.item {
            None => {
                let name = self.state().name(step).to_owned();
                self.outputs.insert(name, output);
            }
            Some(item) => {
                let outputs = self.items.get_mut(&step.step).map(|items| &mut items.outputs);
                if let Some(slot) = outputs.and_then(|outputs| outputs.get_mut(item as usize)) {
                    *slot = output;
                }
            }
        }
    }

    pub(super) fn fail(
        &mut self,
        step: StepRunId,
        attempt: u32,
        error: Failure,
        retry_after: Option<Duration>,
        timed_out: bool,
        batch: &mut Batch,
    ) {
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
        self.fail(step, attempt, error, None, false, batch);
    }

    pub(super) fn is_child(&self, step: StepRunId) -> bool {
        self.compiled.plan.steps[step.index()].body == Body::Template
    }

    /// Whether the attempt is open and ours. One that is a run of its own is nobody's: its row in the store is the fence.
    pub(super) fn is_open(&self, step: StepRunId, attempt: u32) -> bool {
        let owner = self.engine.0.runs.owner();
        let open = self.state().step_run(step).and_then(|run| run.open_attempt());
        open.is_some_and(|open| open.number == attempt && (open.owner == owner || self.is_child(step)))
    }

    /// Whether this attempt is the one that is to start next.
    fn may_start(&self, step: StepRunId, attempt: u32) -> bool {
        !self.state().phase.is_end()
            && !self.planner.is_winding_down()
            && self.state().step_run(step).is_some_and(|run| {
                run.status == StepStatus::Ready && run.attempts.len() as u32 + 1 == attempt
            })
    }

    pub(super) async fn start(
        &mut self,
        step: StepRunId,
        attempt: u32,
        slot: Option<Slot>,
        batch: &mut Batch,
    ) {
        if !self.may_start(step, attempt) {
            return;
        }
        match self.compiled.plan.steps[step.index()].body {
            Body::Approval => self.ask(step, batch),
            Body::Template => self.start_child(step, attempt, batch),
            _ => self.start_call(step, attempt, slot, batch).await,
        }
    }

    /// Claims the attempt if its provider has a slot for it, else waits for one.
    async fn start_call(&mut self, step: StepRunId, attempt: u32, slot: Option<Slot>, batch: &mut Batch) {
        let Some(role) = self.roles.get(&step.step).cloned() else {
            return self.refuse(step, Failure::new(ErrorClass::NoRoles, "the step has no role"), batch);
        };
        let resolved = match self.engine.0.models.resolve(&role.model).await {
            Ok(resolved) => resolved,
            Err(failure) => return self.refuse(step, failure, batch),
        };
        let Some(slot) = slot.or_else(|| resolved.limits.try_acquire()) else {
            batch.waits.push(Wait { step, attempt, limits: resolved.limits });
            return;
        };
        let owner = self.engine.0.runs.owner();
        self.record(batch, EventKind::Started { step, attempt, owner });
        let rendered = self.seen_by(step, |evaluator, planned, context| {
            request::of_step(evaluator, planned, &self.compiled.plan.steps, &role, resolved.model, context)
        });
        let mut request = match rendered {
            Ok(request) => request,
            Err(error) => {
                let failure = Failure::new(ErrorClass::Expression, error.to_string());
                return self.fail(step, attempt, failure, None, false, batch);
            }
        };
        let form = &self.compiled.outputs[step.index()];
        let local = request::is_local(&role);
        if form.writes_files() {
            request::with_files(&mut request, &self.files, local);
        }
        let mode = match (local, self.files.is_empty()) {
            (true, _) => FileMode::WholeAndFew,
            (false, true) => FileMode::Whole,
            (false, false) => FileMode::Edits,
        };
        form.ask(&mut request, self.state().step_run(step).and_then(|run| run.failure()), mode);
        if self.compiled.is_ask {
            request::with_conversation(&mut request, &role, &self.earlier);
        }
        let limit =
            self.compiled.plan.steps[step.index()].timeout_ms.map_or(DEFAULT_TIMEOUT, Duration::from_millis);
        let prompt = self.keep(batch, serde_json::json!(request).to_string());
        self.record(batch, EventKind::Prompt { step, attempt, prompt });
        batch.starts.push(Start { step, attempt, client: resolved.client, request, slot, limit });
    }

    pub(super) fn evaluate(&mut self, step: StepRunId, batch: &mut Batch) {
        let holds = self.seen_by(step, |evaluator, planned, context| {
            evaluator.condition(planned.condition.as_deref().unwrap_or_default(), context)
        });
        match holds {
            Ok(holds) => self.record(batch, EventKind::ConditionEvaluated { step, holds }),
            Err(error) => {
                let failure = Failure::new(ErrorClass::Expression, format!("its condition: {error}"));
                self.refuse(step, failure, batch);
            }
        }
    }

    pub(super) fn complete(&mut self, batch: &mut Batch) {
        let output = self.compiled.evaluate(self.bytes(), || {
            self.compiled.evaluator.run_output(
                &self.compiled.template,
                &self.compiled.plan,
                &self.context(None),
            )
        });
        let value = match output {
            Ok(value) => value,
            Err(error) => {
                let error = Failure::new(ErrorClass::Expression, format!("the template's output: {error}"));
                return self.record(batch, EventKind::Failed { error, step: None });
            }
        };
        let (text, json) = match value {
            Value::String(text) => (text, false),
            Value::Null => (String::new(), false),
            other => (format!("{other:#}"), true),
        };
        let kept = if json { None } else { self.stored(&text) };
        let output = kept.unwrap_or_else(|| TextRef { json, ..self.keep(batch, text.clone()) });
        let shown = head(&text, OUTPUT_LIMIT).to_owned();
        batch.output = Some(text);
        self.record(batch, EventKind::Completed { output, shown });
    }

    /// A step's output that is this very text: it is stored already.
    fn stored(&self, text: &str) -> Option<TextRef> {
        let same = |name: &str| self.outputs.get(name).and_then(Value::as_str) == Some(text);
        let mut steps = self.state().steps.iter().zip(&self.compiled.plan.steps).rev();
        steps.find(|(_, planned)| same(&planned.name)).and_then(|(step, _)| step.output.clone())
    }

    pub(super) fn cancel(&mut self, by: String, batch: &mut Batch) {
        let open = self.state().step_runs();
        let open = open.filter_map(|(step, run)| Some((step, run.open_attempt()?.number)));
        for (step, attempt) in open.collect::<Vec<_>>() {
            if let Some(abort) = self.open.remove(&step) {
                abort.cancel();
                let said = self.channel.said(step, attempt);
                self.say(step, attempt, &said, Usage::default(), batch);
            }
            self.record(batch, EventKind::StepCancelled { step });
        }
        self.record(batch, EventKind::Cancelled { by });
    }

    /// About how much expressions can read.
    fn bytes(&self) -> usize {
        let input = self.state().input.as_ref().map_or(0, |input| input.bytes);
        let earlier: usize = self.earlier.iter().map(|message| message.content.len()).sum();
        (input + self.state().bytes_generated) as usize + earlier
    }

    /// Evaluates something of a step, with all that its step run may read.
    pub(super) fn seen_by<T>(
        &self,
        step: StepRunId,
        evaluate: impl FnOnce(&Evaluator, &Step, &Context<'_>) -> T,
    ) -> T {
        let planned = &self.compiled.template.steps[step.index()];
        let index = Value::from(step.item);
        let value = step.item.and_then(|item| self.items.get(&step.step)?.list.get(item as usize));
        let context = self.context(value.map(|value| Item { value, index: &index }));
        self.compiled.evaluate(self.bytes(), || evaluate(&self.compiled.evaluator, planned, &context))
    }

    fn context<'c>(&'c self, item: Option<Item<'c>>) -> Context<'c> {
        Context {
            input: &self.input,
            outputs: &self.outputs,
            mapped: self.mapped.values(),
            conversation: &self.conversation,
            item,
        }
    }
}
