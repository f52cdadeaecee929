//! The values that a run's expressions read: its input, outputs of steps, mapped names, items, the conversation.
//!
//! Invariant: only values that an expression reads are loaded, and stored values are not cached for long: a waiting run
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
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};
use tokio::time::sleep;

/// How many bytes of reloadable text a run keeps in memory.
const HELD: usize = 64 * 1024;
/// Delay before a failed database read is retried.
const AGAIN: Duration = Duration::from_secs(1);
/// How much of the conversation an expression can read, in bytes; answers may be large.
const CONVERSATION: i64 = 4 * 1024 * 1024;

pub(super) struct Values {
    pub input: Value,
    /// Outputs by step name; null for a step that was skipped, or that failed in a run that continued.
    outputs: BTreeMap<String, Value>,
    mapped: Mapped,
    /// The list of each forEach step in progress.
    pub lists: HashMap<u32, Vec<Value>>,
    conversation: Value,
    /// Bytes of the reloadable values, without lists.
    held: usize,
}

/// The parts of the context that a step reads, determined from its syntax.
#[derive(Default)]
pub(super) struct StepReads {
    /// Steps whose outputs are read.
    pub outputs: Vec<u32>,
    /// Names that steps write by their `outputMapping`.
    pub mapped: Vec<String>,
    pub conversation: bool,
    /// Fields of the input.
    pub input_fields: BTreeSet<String>,
    /// Whether it reads the input as a whole.
    pub whole_input: bool,
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

    /// Drops the reloadable values, if they are large.
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
    /// Evaluates an expression of a step, after loading everything that its step run reads.
    ///
    /// # Errors
    /// A value that the step reads is missing or damaged.
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

    /// Evaluates the run's output.
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

    /// Approximately how many bytes an expression can read.
    fn bytes(&self) -> usize {
        let input = self.state().input.as_ref().map_or(0, |input| input.bytes as usize);
        input + self.values.held
    }

    /// Loads everything that is read and not in memory.
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
            // The mapping succeeded when the step completed, and expressions are pure.
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

    /// A text of the run, stored or about to be.
    pub(super) async fn text(&self, id: ContentId, batch: &Batch) -> Result<String, Failure> {
        if let Some(text) = batch.content(id) {
            return Ok(text.to_owned());
        }
        let run = self.facts.run;
        self.engine.persist(run, || self.engine.stored_text(run, id)).await.map_err(unreadable)
    }

    /// Caches the step's new output.
    pub(super) fn hold(&mut self, step: StepRunId, text: usize, output: Value) {
        // Items' outputs are read when they are gathered.
        if step.item.is_none() {
            let name = self.state().name(step).to_owned();
            self.values.outputs.insert(name, output);
            self.values.held += text;
        }
    }

    /// Writes the names of the step's `outputMapping` into the context.
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

    /// Drops reloadable values, after a commit.
    pub(super) fn trim_values(&mut self) {
        self.values.trim();
        let state = self.planner.state();
        let under_way = |step: &u32| !state.steps[*step as usize].status.is_end();
        self.values.lists.retain(|step, _| under_way(step));
    }

    /// Notes which completed steps write mapped names, after the log was read.
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
    /// Retries the read while the database cannot be read, which is not a fault of the run.
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

/// The failure for stored data that is missing or damaged.
fn unreadable(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Failure {
    let error = error.into();
    tracing::error!(source = ?error, "what a step reads is damaged");
    Failure::new(ErrorClass::Interrupted, "what the step reads cannot be read; the server's log says why")
}

#[cfg(test)]
mod tests {
    use super::super::stage::Stage;
    use scripted::{Entry, Rule};
    use serde_json::{Value, json};

    /// While its model call is in progress, a run has dropped the values of its prompt: outputs, mapped names, the
    /// conversation.
    #[tokio::test]
    async fn a_run_that_waits_holds_nothing_that_it_can_read_again() {
        let stage = Stage::new().await;
        let large = "x".repeat(100 * 1024);
        stage.models.script(vec![Rule::text(&large).last_user("FIRST"), Rule::text("held").hold(0)]);
        let steps = "
  - {name: A, prompt: FIRST, outputMapping: {copy: '{{ output }}'}}
  - name: B
    prompt: 'SECOND {{ context.A }} {{ context.copy }} {{ context.conversation | length }}'
";
        let run = stage.launch(steps, json!({})).await;
        let asked = |ledger: &[Entry], times: usize| {
            ledger.iter().filter(|entry| entry.last_user().starts_with("SECOND")).count() == times
        };
        stage.models.wait_for(|ledger| asked(ledger, 1)).await;
        let stage = stage.restart(false).await;
        let (mut actor, _mailbox) = stage.actor(run).await;
        assert!(actor.resume().await.is_ok());
        let ledger = stage.models.wait_for(|ledger| asked(ledger, 2)).await;
        let prompt = ledger.last().unwrap().last_user();
        assert!(prompt.len() > 2 * large.len() && prompt.ends_with(" 0"), "it had read all of it");
        assert_eq!(actor.open.len(), 1);
        let values = &actor.values;
        assert_eq!((&values.conversation, values.held), (&Value::Null, 0));
        assert!(values.outputs.is_empty() && values.mapped.values().is_empty());
    }
}
