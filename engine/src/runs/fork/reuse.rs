//! The outputs that a fork reuses from its parent: read at the launch, recorded before the run decides anything.

use super::{
    super::{actor::RunActor, batch::Batch, compiled::CompiledTemplate, output::Output},
    Fork,
    plan::{ForkPlan, ParentRun, old_step},
};
use crate::{Engine, Error, Result, store::runs::RunRow};
use domain::{
    event::{ChangedStep, EventKind, Parent, TextRef},
    fork::{Origin, RerunReason},
    id::StepRunId,
    role::StepRole,
    run::StepState,
};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The outputs that a fork reuses from its parent.
pub(in super::super) struct ReusedSteps {
    pub parent: Parent,
    steps: Vec<(StepRunId, Reused)>,
}

enum Reused {
    Output(Output, Box<Origin>),
    /// The step's condition was false.
    Skipped,
    /// The list of the step, and the outputs of the items that do not run again.
    Items {
        list: Vec<Value>,
        outputs: BTreeMap<u32, (Output, Box<Origin>)>,
    },
}

impl Engine {
    /// The outputs that the fork reuses.
    pub(super) async fn reused_steps(&self, plan: &ForkPlan, fork: &Fork) -> Result<ReusedSteps> {
        let (parent, compiled) = (&plan.parent, &plan.prepared.compiled);
        let mut steps = Vec::new();
        for step in 0..compiled.plan.steps.len() as u32 {
            let id = StepRunId { step, item: None };
            let Some(old) = old_step(&parent.state, &compiled.plan, step) else { continue };
            if step == plan.from
                && let Some(wanted) = &plan.items
            {
                steps.push((id, self.reused_items(plan, old, wanted).await?));
            } else if plan.again.contains_key(&step) {
                continue;
            } else if let Some(output) = &old.output {
                let output = self.parents_output(&parent.row, output, compiled, step).await?;
                let origin = self.origin(parent, old, step, plan.stale.get(&step)).await?;
                steps.push((id, Reused::Output(output, origin)));
            } else {
                steps.push((id, Reused::Skipped));
            }
        }
        let obvious = |reason: &RerunReason| {
            matches!(reason, RerunReason::Start | RerunReason::Upstream { .. } | RerunReason::NoOutput)
        };
        let changed = plan.again.iter().filter(|(_, reason)| !obvious(reason));
        let changed =
            changed.map(|(step, reason)| ChangedStep { step: *step, reason: reason.clone() }).collect();
        let parent = Parent { run: parent.number, from_step: fork.from_step.clone(), changed };
        Ok(ReusedSteps { parent, steps })
    }

    async fn reused_items(&self, plan: &ForkPlan, old: &StepState, wanted: &BTreeSet<u32>) -> Result<Reused> {
        let (parent, compiled, step) = (&plan.parent, &plan.prepared.compiled, plan.from);
        let damaged = || Error::internal("a step under forEach without its items");
        let items = old.items.as_ref().ok_or_else(damaged)?;
        let list = self.stored_text(parent.row.id(), items.list.id).await?;
        let list = serde_json::from_str(&list).map_err(Error::internal)?;
        let typed = compiled.outputs[step as usize].is_typed();
        let mut outputs = BTreeMap::new();
        for (item, run) in (0u32..).zip(&items.runs).filter(|(item, _)| !wanted.contains(item)) {
            // An item without output has nothing to reuse, so it runs again, too.
            if let Some(output) = run.output.as_ref().filter(|output| output.json || !typed) {
                let output = self.parents_output(&parent.row, output, compiled, step).await?;
                let origin = self.origin(parent, run, step, plan.stale.get(&step)).await?;
                outputs.insert(item, (output, origin));
            }
        }
        Ok(Reused::Items { list, outputs })
    }

    pub(super) async fn parents_output(
        &self,
        parent: &RunRow,
        output: &TextRef,
        compiled: &CompiledTemplate,
        step: u32,
    ) -> Result<Output> {
        let text = self.stored_text(parent.id(), output.id).await?;
        let form = &compiled.outputs[step as usize];
        form.of_stored(output.json, text).map(|value| form.of_value(value))
    }

    /// The origin of a step run's output in the parent; `step` is the step's index in the fork.
    async fn origin(
        &self,
        parent: &ParentRun,
        run: &StepState,
        step: u32,
        stale: Option<&RerunReason>,
    ) -> Result<Box<Origin>> {
        let at_step = |role: &StepRole| StepRole { step, ..role.clone() };
        let own = || Origin {
            run: parent.number,
            version: parent.version,
            role: run.role.as_ref().map(at_step),
            usage: run.usage,
            stale: None,
        };
        let made = run
            .origin
            .as_deref()
            .map(|origin| Origin { role: origin.role.as_ref().map(at_step), ..origin.clone() });
        Ok(Box::new(Origin { stale: stale.cloned(), ..made.unwrap_or_else(own) }))
    }
}

impl RunActor {
    /// Records the reused outputs, before anything is decided.
    pub(in super::super) fn reuse(&mut self, reuse: ReusedSteps, batch: &mut Batch) {
        for (step, kept) in reuse.steps {
            match kept {
                Reused::Output(output, origin) => {
                    // The plan of the fork has tried the mapping. If it fails anyway, the step runs.
                    match self.map_output(step, &output.value) {
                        Ok(_) => self.take_over(step, output, origin, batch),
                        Err(why) => tracing::error!(
                            run = %self.facts.run, %step, ?why,
                            "an output that was to be reused does not fit its outputMapping; the step runs again"
                        ),
                    }
                }
                Reused::Skipped => {
                    let reason = format!("its condition did not hold in run {}", reuse.parent.run);
                    self.record(batch, EventKind::Skipped { step, reason });
                }
                Reused::Items { list, outputs } => {
                    self.record(batch, EventKind::Ready { step });
                    self.set_list(step, list, batch);
                    for (item, (output, origin)) in outputs {
                        let step = StepRunId { step: step.step, item: Some(item) };
                        self.take_over(step, output, origin, batch);
                    }
                }
            }
        }
    }

    fn take_over(&mut self, step: StepRunId, output: Output, origin: Box<Origin>, batch: &mut Batch) {
        let reference = self.keep_output(batch, &output);
        self.hold(step, output.text.len(), output.value);
        self.record(batch, EventKind::Reused { step, output: reference, origin: Some(origin) });
    }
}
