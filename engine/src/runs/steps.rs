//! What a conductor does with one step run: claims an attempt, takes its answer, fails it, evaluates its condition; and
//! how the run comes to its end. Bodies other than a model call have files of their own.

use super::{
    attempt::{Answer, CallFailure, DEFAULT_TIMEOUT},
    conductor::Conductor,
    output::{Means, Output},
    request,
    turn::{Start, Turn, Wait},
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

impl Conductor {
    pub(super) async fn take(
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
        let answer = match outcome {
            Ok(answer) => {
                self.channel.end(step, attempt);
                answer
            }
            Err(error) => {
                let said = self.channel.said(step, attempt);
                self.channel.end(step, attempt);
                self.say(step, attempt, &said, error.usage.at(self.price_of(step)), turn);
                return self.fail(step, attempt, error.failure, error.retry_after, error.timed_out, turn);
            }
        };
        let usage = answer.usage.at(self.price_of(step));
        let form = &self.recipe.outputs[step.index()];
        let taken = match self.recipe.aside(answer.text.len(), || form.read(&answer)) {
            Ok(output) => {
                self.look_at_files(&output.changes, turn).await;
                self.finish(step, attempt, output, usage, answer.cut, turn)
            }
            Err(failure) => Err(failure),
        };
        if let Err(failure) = taken {
            self.say(step, attempt, head(&answer.text, SAID_LIMIT), usage, turn);
            self.fail(step, attempt, failure, None, false, turn);
        }
    }

    /// Keeps what the model said in an attempt that ends without an output: a person may want it, and it has cost.
    pub(super) fn say(&mut self, step: StepRunId, attempt: u32, said: &str, usage: Usage, turn: &mut Turn) {
        if said.is_empty() && usage.is_none() {
            return;
        }
        let text = self.keep(turn, said.to_owned());
        self.record(turn, EventKind::Said { step, attempt, text, usage });
    }

    /// Brings the files that are to be edited up to date: another run on the branch may have written since this one
    /// began.
    async fn look_at_files(&mut self, changes: &[FileChange], turn: &Turn) {
        let edited = changes.iter().filter(|change| change.edits.is_some());
        let paths = edited.filter_map(|change| FilePath::parse(&change.path).ok());
        for path in paths.take(MAX_CHANGES).filter(|path| !turn.written.contains_key(path)) {
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
        turn: &mut Turn,
    ) -> Result<(), Failure> {
        let bytes = output.changes.iter().map(FileChange::bytes).sum();
        let apply = || apply_changes(&output.changes, |path| self.files.get(path).cloned());
        let written = self.recipe.aside(bytes, apply);
        let written = written.map_err(|error| Failure::new(ErrorClass::InvalidOutput, error.to_string()))?;
        // The items' outputs are mapped when they are all there.
        if step.item.is_none() {
            self.map_output(step, &output.value)?;
        }
        for file in written {
            let content = self.keep(turn, file.content.clone());
            let (path, edited) = (file.path.clone(), file.edited);
            turn.written.insert(file.path.clone(), file.content.clone());
            self.files.insert(file.path, file.content);
            self.record(turn, EventKind::FileWritten { step, attempt, path, content, edited });
        }
        let reference = self.keep_output(turn, &output);
        self.hold(step, output.value);
        self.record(turn, EventKind::Finished { step, attempt, output: reference, usage, cut });
        Ok(())
    }

    /// Puts into the context what the step's `outputMapping` says.
    pub(super) fn map_output(&mut self, step: StepRunId, output: &Value) -> Result<(), Failure> {
        let planned = &self.recipe.template.steps[step.index()];
        if planned.output_mapping.is_empty() {
            return Ok(());
        }
        let evaluate = || self.recipe.evaluator.output_mapping(planned, output);
        let mapped = self.recipe.aside(self.bytes(), evaluate);
        let mapped = mapped.map_err(|error| Failure::new(ErrorClass::Expression, error.to_string()))?;
        self.mapped.write(&self.recipe.plan, step.index(), mapped);
        Ok(())
    }

    pub(super) fn keep_output(&self, turn: &mut Turn, output: &Output) -> TextRef {
        TextRef { json: output.json, ..self.keep(turn, output.text.clone()) }
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

    /// The step cannot even begin: an attempt that fails at once says so.
    pub(super) fn refuse(&mut self, step: StepRunId, error: Failure, turn: &mut Turn) {
        let owner = self.engine.0.runs.owner();
        let attempt = self.state().step_run(step).map_or(0, |run| run.attempts.len() as u32) + 1;
        self.record(turn, EventKind::Started { step, attempt, owner });
        self.fail(step, attempt, error, None, false, turn);
    }

    pub(super) fn is_child(&self, step: StepRunId) -> bool {
        self.recipe.plan.steps[step.index()].body == Body::Template
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

    pub(super) async fn start(&mut self, step: StepRunId, attempt: u32, slot: Option<Slot>, turn: &mut Turn) {
        if !self.may_start(step, attempt) {
            return;
        }
        match self.recipe.plan.steps[step.index()].body {
            Body::Approval => self.ask(step, turn),
            Body::Template => self.start_child(step, attempt, turn),
            _ => self.start_call(step, attempt, slot, turn).await,
        }
    }

    /// Claims the attempt if its provider has a slot for it, else waits for one.
    async fn start_call(&mut self, step: StepRunId, attempt: u32, slot: Option<Slot>, turn: &mut Turn) {
        let Some(role) = self.roles.get(&step.step).cloned() else {
            return self.refuse(step, Failure::new(ErrorClass::NoRoles, "the step has no role"), turn);
        };
        let resolved = match self.engine.0.models.resolve(&role.model).await {
            Ok(resolved) => resolved,
            Err(failure) => return self.refuse(step, failure, turn),
        };
        let Some(slot) = slot.or_else(|| resolved.limits.try_acquire()) else {
            turn.waits.push(Wait { step, attempt, limits: resolved.limits });
            return;
        };
        let owner = self.engine.0.runs.owner();
        self.record(turn, EventKind::Started { step, attempt, owner });
        let rendered = self.seen_by(step, |evaluator, planned, context| {
            request::of_step(evaluator, planned, &self.recipe.plan.steps, &role, resolved.model, context)
        });
        let mut request = match rendered {
            Ok(request) => request,
            Err(error) => {
                let failure = Failure::new(ErrorClass::Expression, error.to_string());
                return self.fail(step, attempt, failure, None, false, turn);
            }
        };
        let form = &self.recipe.outputs[step.index()];
        let local = request::is_local(&role);
        if form.writes_files() {
            request::with_files(&mut request, &self.files, local);
        }
        let means = match (local, self.files.is_empty()) {
            (true, _) => Means::WholeAndFew,
            (false, true) => Means::Whole,
            (false, false) => Means::Edits,
        };
        form.ask(&mut request, self.state().step_run(step).and_then(|run| run.failure()), means);
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
        let holds = self.seen_by(step, |evaluator, planned, context| {
            evaluator.condition(planned.condition.as_deref().unwrap_or_default(), context)
        });
        match holds {
            Ok(holds) => self.record(turn, EventKind::ConditionEvaluated { step, holds }),
            Err(error) => {
                let failure = Failure::new(ErrorClass::Expression, format!("its condition: {error}"));
                self.refuse(step, failure, turn);
            }
        }
    }

    pub(super) fn complete(&mut self, turn: &mut Turn) {
        let output = self.recipe.aside(self.bytes(), || {
            self.recipe.evaluator.run_output(&self.recipe.template, &self.recipe.plan, &self.context(None))
        });
        let value = match output {
            Ok(value) => value,
            Err(error) => {
                let error = Failure::new(ErrorClass::Expression, format!("the template's output: {error}"));
                return self.record(turn, EventKind::Failed { error, step: None });
            }
        };
        let (text, json) = match value {
            Value::String(text) => (text, false),
            Value::Null => (String::new(), false),
            other => (format!("{other:#}"), true),
        };
        let kept = if json { None } else { self.stored(&text) };
        let output = kept.unwrap_or_else(|| TextRef { json, ..self.keep(turn, text.clone()) });
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
        let open = self.state().step_runs();
        let open = open.filter_map(|(step, run)| Some((step, run.open_attempt()?.number)));
        for (step, attempt) in open.collect::<Vec<_>>() {
            if let Some(abort) = self.open.remove(&step) {
                abort.cancel();
                let said = self.channel.said(step, attempt);
                self.say(step, attempt, &said, Usage::default(), turn);
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

    /// Evaluates something of a step, with all that its step run may read.
    pub(super) fn seen_by<T>(
        &self,
        step: StepRunId,
        evaluate: impl FnOnce(&Evaluator, &Step, &Context<'_>) -> T,
    ) -> T {
        let planned = &self.recipe.template.steps[step.index()];
        let index = Value::from(step.item);
        let value = step.item.and_then(|item| self.items.get(&step.step)?.list.get(item as usize));
        let context = self.context(value.map(|value| Item { value, index: &index }));
        self.recipe.aside(self.bytes(), || evaluate(&self.recipe.evaluator, planned, &context))
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
