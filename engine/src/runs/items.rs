//! A step under forEach: its list, and what its items come to.

use super::{actor::RunActor, batch::Batch};
use domain::{
    error::ErrorClass,
    event::{EventKind, Failure},
    id::StepRunId,
};
use serde_json::Value;

/// The items of one step.
#[derive(Default)]
pub(super) struct ItemValues {
    pub list: Vec<Value>,
    /// In item order; null where there is none, or none yet.
    pub outputs: Vec<Value>,
}

impl ItemValues {
    pub fn new(list: Vec<Value>) -> Self {
        Self { outputs: vec![Value::Null; list.len()], list }
    }
}

impl RunActor {
    pub(super) fn resolve_items(&mut self, step: StepRunId, batch: &mut Batch) {
        let list = self.seen_by(step, |evaluator, planned, context| {
            evaluator.items(planned.for_each.as_deref().unwrap_or_default(), context)
        });
        match list {
            Ok(list) => {
                let list = Value::Array(list);
                let items = self.keep_json(batch, &list);
                let Value::Array(list) = list else { return };
                let count = list.len() as u32;
                self.items.insert(step.step, ItemValues::new(list));
                self.record(batch, EventKind::ItemsResolved { step, count, items });
            }
            Err(error) => {
                let failure = Failure::new(ErrorClass::Expression, format!("its forEach: {error}"));
                self.refuse(step, failure, batch);
            }
        }
    }

    /// All items are settled: their outputs become the step's.
    pub(super) fn gather(&mut self, step: StepRunId, failed: u32, batch: &mut Batch) {
        let items = self.items.remove(&step.step).unwrap_or_default();
        let output = Value::Array(items.outputs);
        if let Err(failure) = self.map_output(step, &output) {
            return self.fail_whole(step, failure, batch);
        }
        let reference = self.keep_json(batch, &output);
        let name = self.state().name(step).to_owned();
        self.outputs.insert(name, output);
        self.record(batch, EventKind::Gathered { step, output: reference, failed });
    }

    /// The step fails for good, apart from any attempt.
    pub(super) fn fail_whole(&mut self, step: StepRunId, error: Failure, batch: &mut Batch) {
        self.items.remove(&step.step);
        self.record(batch, EventKind::StepFailed { step, attempt: 0, error, retry_at: None });
    }
}
