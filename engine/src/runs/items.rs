//! Steps with forEach: evaluating the list, and gathering the items' outputs.

use super::{actor::RunActor, batch::Batch, steps::flatten};
use crate::store::runs;
use domain::{
    error::ErrorClass,
    event::{EventKind, Failure},
    id::{ContentId, StepRunId},
};
use serde_json::Value;
use std::{collections::HashMap, fmt::Write};

/// The most bytes that the outputs of a step's items may have in total.
const MOST_GATHERED: u64 = 64 * 1024 * 1024;

impl RunActor {
    pub(super) async fn resolve_items(&mut self, step: StepRunId, batch: &mut Batch) {
        let list = self.evaluate_step(step, batch, |evaluator, planned, context| {
            evaluator.items(planned.for_each.as_deref().unwrap_or_default(), context)
        });
        match flatten(list.await) {
            Ok(list) => self.set_list(step, list, batch),
            Err(mut failure) => {
                failure.message = format!("its forEach: {}", failure.message);
                self.refuse(step, failure, batch);
            }
        }
    }

    /// Records the step's list: each item becomes a step run of its own.
    pub(super) fn set_list(&mut self, step: StepRunId, list: Vec<Value>, batch: &mut Batch) {
        let count = list.len() as u32;
        let list = Value::Array(list);
        let items = self.keep_json(batch, list.to_string());
        if let Value::Array(list) = list {
            self.values.lists.insert(step.step, list);
        }
        self.record(batch, EventKind::ItemsResolved { step, count, items });
    }

    /// Gathers the outputs of a step's items, which have all ended, as the step's output.
    pub(super) async fn gather(&mut self, step: StepRunId, failed: u32, batch: &mut Batch) {
        let gathered = match self.gathered(step, batch).await {
            Ok(gathered) => gathered,
            Err(failure) => return self.fail_whole(step, failure, batch),
        };
        self.values.lists.remove(&step.step);
        if !self.compiled.template.steps[step.index()].output_mapping.is_empty() {
            let mapped = match serde_json::from_str(&gathered) {
                Ok(output) => self.map_output(step, &output),
                Err(error) => Err(Failure::new(ErrorClass::InvalidOutput, error.to_string())),
            };
            if let Err(failure) = mapped {
                return self.fail_whole(step, failure, batch);
            }
        }
        let output = self.keep_json(batch, gathered);
        self.record(batch, EventKind::Gathered { step, output, failed });
    }

    /// The items' outputs as a JSON list, with null for an item without output.
    async fn gathered(&self, step: StepRunId, batch: &Batch) -> Result<String, Failure> {
        let outputs: Vec<_> =
            self.state().steps[step.index()].item_runs().iter().map(|run| run.output.clone()).collect();
        let bytes: u64 = outputs.iter().flatten().map(|output| output.bytes).sum();
        if bytes > MOST_GATHERED {
            let why = format!(
                "the outputs of its {} items are {} MB in all, and a step's output has at most {}",
                outputs.len(),
                bytes.div_ceil(1024 * 1024),
                MOST_GATHERED / 1024 / 1024
            );
            return Err(Failure::new(ErrorClass::Limit, why));
        }
        let new: HashMap<ContentId, &str> =
            batch.contents.iter().map(|(id, text)| (*id, text.as_str())).collect();
        let wanted = outputs.iter().flatten().map(|output| output.id);
        let wanted: Vec<_> = wanted.filter(|id| !new.contains_key(id)).collect();
        let stored = if wanted.is_empty() {
            HashMap::new()
        } else {
            let run = self.facts.run;
            let read = || runs::contents(self.engine.0.store.read(), run, &wanted);
            self.engine.persist(run, read).await.map_err(|error| {
                tracing::error!(%run, source = ?error, "outputs of items could not be read");
                Failure::new(ErrorClass::Interrupted, "the outputs of its items cannot be read")
            })?
        };
        let form = &self.compiled.outputs[step.index()];
        let mut list = String::with_capacity(bytes as usize + 8 * outputs.len() + 2);
        list.push('[');
        for (index, output) in outputs.iter().enumerate() {
            if index > 0 {
                list.push(',');
            }
            let text = output.as_ref().map(|output| {
                let text =
                    new.get(&output.id).copied().or_else(|| stored.get(&output.id).map(String::as_str));
                (output, text)
            });
            match text {
                None => list.push_str("null"),
                Some((_, None)) => {
                    let why = format!("the output of item {index} is gone");
                    return Err(Failure::new(ErrorClass::Interrupted, why));
                }
                Some((output, Some(text))) if output.json => list.push_str(text),
                Some((output, Some(text))) => {
                    let value = form.of_stored(output.json, text.to_owned()).unwrap_or_else(|_| text.into());
                    // Writing to a String does not fail.
                    _ = write!(list, "{value}");
                }
            }
        }
        list.push(']');
        Ok(list)
    }

    /// Fails the step as a whole, without an attempt and without a retry.
    pub(super) fn fail_whole(&mut self, step: StepRunId, error: Failure, batch: &mut Batch) {
        self.values.lists.remove(&step.step);
        self.record(batch, EventKind::StepFailed { step, attempt: 0, error, retry_at: None });
    }
}
