//! The context names that steps write (`outputMapping`).
//!
//! Invariant: the values follow from which steps have completed, not from the order in which they did. If several steps
//! write one name, the step in the last wave wins, and among steps of the same wave the last one in the document. So a
//! resumed run reads the same values.

use domain::plan::Plan;
use serde_json::Value;
use std::collections::BTreeMap;

#[derive(Default)]
pub(super) struct Mapped {
    values: BTreeMap<String, Value>,
    /// Per name, the wave and index of the step that wrote it.
    writers: BTreeMap<String, (u32, usize)>,
}

impl Mapped {
    pub fn write(&mut self, plan: &Plan, step: usize, written: impl IntoIterator<Item = (String, Value)>) {
        let writer = (plan.steps[step].wave, step);
        for (name, value) in written {
            if self.writers.get(&name).is_none_or(|before| *before <= writer) {
                self.writers.insert(name.clone(), writer);
                self.values.insert(name, value);
            }
        }
    }

    /// Like [`write`](Self::write), for names whose values are evaluated on first read.
    pub fn note(&mut self, plan: &Plan, step: usize, names: impl IntoIterator<Item = String>) {
        let writer = (plan.steps[step].wave, step);
        for name in names {
            if self.writers.get(&name).is_none_or(|before| *before <= writer) {
                self.values.remove(&name);
                self.writers.insert(name, writer);
            }
        }
    }

    /// The step from whose output the name's value still has to be evaluated.
    pub fn missing(&self, name: &str) -> Option<usize> {
        let (_, step) = self.writers.get(name)?;
        (!self.values.contains_key(name)).then_some(*step)
    }

    pub fn forget_values(&mut self) {
        self.values.clear();
    }

    pub fn values(&self) -> &BTreeMap<String, Value> {
        &self.values
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::plan::PlannedStep;

    #[test]
    fn who_wins_is_a_matter_of_the_plan() {
        let step = |wave| PlannedStep { wave, ..PlannedStep::default() };
        let plan = Plan { steps: vec![step(0), step(1), step(0), step(0)] };
        // The second step depends on one of the others, so it completes after that one.
        for order in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 3, 0, 1], [0, 3, 1, 2]] {
            let mut mapped = Mapped::default();
            for step in order {
                let names = if step == 1 { vec!["deep"] } else { vec!["deep", "wide"] };
                mapped.write(&plan, step, names.into_iter().map(|name| (name.to_owned(), step.into())));
            }
            let expected =
                [("deep", 1), ("wide", 3)].map(|(name, step)| (name.to_owned(), Value::from(step)));
            assert_eq!(*mapped.values(), expected.into(), "{order:?}");
            // A forgotten value can be written again by the same step only.
            mapped.forget_values();
            assert_eq!((mapped.missing("deep"), mapped.missing("wide")), (Some(1), Some(3)), "{order:?}");
            mapped.write(&plan, 0, [("deep".to_owned(), Value::from(0))]);
            assert!(mapped.values().is_empty(), "a step that stands less deep");
        }
    }
}
