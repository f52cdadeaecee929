//! The values that a run's expressions read: its input, outputs of steps, mapped names, items, the conversation.
//!
//! Always true: what an expression does not read is not loaded, and what is stored is not kept for long: a run that waits
//! holds its input and little else.

use super::{actor::RunActor, batch::Batch, load::EARLIER, mapped::Mapped};
use crate::{Engine, Error, Result, store::messages};
use domain::{
    error::ErrorClass,
    event::{Failure, TextRef},
    expression::{Context, Evaluator, Item},
    id::{ContentId, RunId, StepRunId},
    run::StepStatus,
    template::Step,
};
use serde_json::Value;
use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};
use tokio::time::sleep;

/// How much text (bytes) a run keeps at hand of what it can read again.
const HELD: usize = 64 * 1024;
/// How long to wait before something that the database refused is tried again.
const AGAIN: Duration = Duration::from_secs(1);
/// How much of the conversation an expression can read, in bytes; answers may be large.
const CONVERSATION: i64 = 4 * 1024 * 1024;

pub(super) struct Values {
    pub input: Value,
    /// Outputs by step name; null for a step that was skipped, or failed where the run goes on.
    outputs: BTreeMap<String, Value>,
    mapped: Mapped,
    /// Per step under forEach that is under way: its list.
    pub lists: HashMap<u32, Vec<Value>>,
    conversation: Value,
    /// Bytes of what could be read again, lists apart.
    held: usize,
}

/// What a step reads of the context, by its syntax.
#[derive(Default)]
pub(super) struct StepReads {
    /// Steps whose outputs are read.
    pub outputs: Vec<u32>,
    /// Names that steps write by their `outputMapping`.
    pub mapped: Vec<String>,
    pub conversation: bool,
}

impl Values {
    pub fn new(input: Value) -> Self {
        Self {
            input,
            outputs: BTreeMap::new(),
            mapped: Mapped::default(),
            lists: HashMap::new(),
            conversation: Value::Null,
            held: 0,
        }
    }

    /// Lets go of what can be read again, if that is much.
    fn trim(&mut self) {
        self.conversation = Value::Null;
        if self.held > HELD {
            self.held = 0;
            self.outputs.clear();
            self.mapped.forget_values();
        }
    }
}

impl RunActor {
    /// Evaluates something of a step, with all that its step run reads.
    ///
    /// # Errors
    /// What the step reads is gone or damaged.
    pub(super) async fn evaluate_step<T>(
        &mut self,
        step: StepRunId,
        batch: &Batch,
        evaluate: impl FnOnce(&Evaluator, &Step, &Context<'_>) -> T,
    ) -> Result<T, Failure> {
        let compiled = self.compiled.clone();
        self.load(&compiled.reads[step.index()], batch).await?;
        if step.item.is_some() {
            self.load_list(step.step, batch).await?;
        }
        let planned = &compiled.template.steps[step.index()];
        let index = Value::from(step.item);
        let value = step.item.and_then(|item| self.values.lists.get(&step.step)?.get(item as usize));
        let context = self.context(value.map(|value| Item { value, index: &index }));
        Ok(compiled.evaluate(self.bytes(), || evaluate(&compiled.evaluator, planned, &context)))
    }

    /// The run's output, evaluated.
    pub(super) async fn evaluate_output(&mut self, batch: &Batch) -> Result<Value, Failure> {
        let compiled = self.compiled.clone();
        self.load(&compiled.output_reads, batch).await?;
        let context = self.context(None);
        let plan = &self.state().plan;
        compiled
            .evaluate(self.bytes(), || compiled.evaluator.run_output(&compiled.template, plan, &context))
            .map_err(|error| Failure::new(ErrorClass::Expression, format!("the template's output: {error}")))
    }

    fn context<'c>(&'c self, item: Option<Item<'c>>) -> Context<'c> {
        Context {
            input: &self.values.input,
            outputs: &self.values.outputs,
            mapped: self.values.mapped.values(),
            conversation: &self.values.conversation,
            item,
        }
    }

    /// About how much an expression can read, in bytes.
    fn bytes(&self) -> usize {
        let input = self.state().input.as_ref().map_or(0, |input| input.bytes as usize);
        input + self.values.held
    }

    /// Sees to it that everything that is read is at hand.
    async fn load(&mut self, reads: &StepReads, batch: &Batch) -> Result<(), Failure> {
        for &step in &reads.outputs {
            self.load_output(step, batch).await?;
        }
        for name in &reads.mapped {
            let Some(writer) = self.values.mapped.missing(name) else { continue };
            self.load_output(writer as u32, batch).await?;
            let compiled = self.compiled.clone();
            let planned = &compiled.template.steps[writer];
            let output = self.values.outputs.get(&planned.name).unwrap_or(&Value::Null);
            // It succeeded when the step completed, and expressions are pure.
            let mapped = compiled.evaluator.output_mapping(planned, output).map_err(unreadable)?;
            let plan = self.state().plan.clone();
            self.values.mapped.write(&plan, writer, mapped);
        }
        if reads.conversation && self.values.conversation.is_null() {
            let (engine, facts) = (&self.engine, &self.facts);
            let read = || async {
                let db = engine.0.store.read();
                messages::earlier(db, facts.task, &facts.path, facts.question, EARLIER, CONVERSATION).await
            };
            let earlier = engine.persist(facts.run, read).await.map_err(unreadable)?;
            self.values.held += earlier.iter().map(|message| message.content.len()).sum::<usize>();
            self.values.conversation = serde_json::to_value(&earlier).map_err(unreadable)?;
        }
        Ok(())
    }

    async fn load_output(&mut self, step: u32, batch: &Batch) -> Result<(), Failure> {
        let run = &self.state().steps[step as usize];
        let name = &self.state().plan.steps[step as usize].name;
        if self.values.outputs.contains_key(name) {
            return Ok(());
        }
        let (name, status, output) = (name.clone(), run.status, run.output.clone());
        let value = match (status, output) {
            (StepStatus::Completed, Some(output)) => self.output_value(step, &output, batch).await?,
            (StepStatus::Skipped | StepStatus::Failed, _) => Value::Null,
            _ => return Ok(()),
        };
        self.values.outputs.insert(name, value);
        Ok(())
    }

    /// A stored output, with its type.
    async fn output_value(&mut self, step: u32, output: &TextRef, batch: &Batch) -> Result<Value, Failure> {
        let text = self.text(output.id, batch).await?;
        self.values.held += text.len();
        self.compiled.outputs[step as usize].of_stored(output.json, text).map_err(unreadable)
    }

    async fn load_list(&mut self, step: u32, batch: &Batch) -> Result<(), Failure> {
        let list = match &self.state().steps[step as usize].items {
            Some(items) if !self.values.lists.contains_key(&step) => items.list.id,
            _ => return Ok(()),
        };
        let text = self.text(list, batch).await?;
        let list = serde_json::from_str(&text).map_err(unreadable)?;
        self.values.lists.insert(step, list);
        Ok(())
    }

    /// A text of the run: stored, or about to be.
    pub(super) async fn text(&self, id: ContentId, batch: &Batch) -> Result<String, Failure> {
        if let Some(text) = batch.content(id) {
            return Ok(text.to_owned());
        }
        let run = self.facts.run;
        self.engine.persist(run, || self.engine.stored_text(run, id)).await.map_err(unreadable)
    }

    /// A step has this output now.
    pub(super) fn hold(&mut self, step: StepRunId, text: usize, output: Value) {
        // What items gave is read when it is gathered.
        if step.item.is_none() {
            let name = self.state().name(step).to_owned();
            self.values.outputs.insert(name, output);
            self.values.held += text;
        }
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
        let plan = self.state().plan.clone();
        self.values.mapped.write(&plan, step.index(), mapped);
        Ok(())
    }

    /// After a commit: what can be read again is let go of.
    pub(super) fn trim_values(&mut self) {
        self.values.trim();
        let state = self.planner.state();
        let under_way = |step: &u32| !state.steps[*step as usize].status.is_end();
        self.values.lists.retain(|step, _| under_way(step));
    }

    /// After the log was read: which steps have written mapped names.
    pub(super) fn note_writers(&mut self) {
        let plan = self.state().plan.clone();
        for index in 0..plan.steps.len() {
            let run = &self.state().steps[index];
            let names = self.compiled.template.steps[index].output_mapping.keys();
            if run.status == StepStatus::Completed && run.output.is_some() {
                self.values.mapped.note(&plan, index, names.cloned());
            }
        }
    }
}

impl Engine {
    /// Reads, again and again while the database cannot be read: that is no fault of the run.
    pub(super) async fn persist<T, F>(&self, run: RunId, read: impl Fn() -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let stopping = self.0.runs.stopping();
        loop {
            match read().await {
                Err(Error::Unavailable(why)) if !stopping.is_cancelled() => {
                    tracing::error!(%run, %why, "what a run needs cannot be read; trying again");
                }
                result => return result,
            }
            tokio::select! {
                () = sleep(AGAIN) => {}
                () = stopping.cancelled() => {}
            }
        }
    }
}

/// What was stored is not there, or not what it was.
fn unreadable(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Failure {
    let error = error.into();
    tracing::error!(source = ?error, "what a step reads is damaged");
    Failure::new(ErrorClass::Interrupted, "what the step reads cannot be read; the server's log says why")
}
