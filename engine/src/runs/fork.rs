//! Forks: a run again from one of its steps. What came before that step, and what does not depend on it, is taken over
//! with no call; the parent stays as it was.

use super::{
    Launch,
    actor::RunActor,
    batch::Batch,
    compiled::CompiledTemplate,
    launch::{LaunchRequest, checked_key, request_digest},
    output::Output,
    user_message,
};
use crate::{
    Engine, Error, Result, User,
    store::{runs::RunRow, versions},
};
use domain::{
    access::Permission,
    event::{EventKind, Parent, TextRef},
    id::{RunNumber, StepRunId, TemplateId},
    key::{ProjectKey, RoleKey},
    plan::Plan,
    run::{RunState, StepState, StepStatus},
    view::Launched,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// What to run again.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Fork {
    /// The name of a step: it and what depends on it run again.
    pub from_step: String,
    /// Of that step, under forEach, these items alone, by index. The others are taken over.
    #[serde(default)]
    pub items: Option<Vec<u32>>,
    /// None: the parent's.
    #[serde(default)]
    pub input: Option<Value>,
    /// Merged over the parent's.
    #[serde(default)]
    pub role_assignments: BTreeMap<String, RoleKey>,
    /// None: the parent's.
    #[serde(default)]
    pub template_version: Option<u32>,
    #[serde(default)]
    pub idempotency_key: Option<String>,
}

/// What a fork takes over from its parent.
pub(super) struct ReusedSteps {
    pub parent: Parent,
    steps: Vec<(StepRunId, Reused)>,
}

enum Reused {
    Output(Output),
    /// Its condition did not hold.
    Skipped,
    /// Its list, and the outputs of the items that do not run again.
    Items {
        list: Vec<Value>,
        outputs: BTreeMap<u32, Output>,
    },
}

impl Engine {
    /// Launches a fork, in the parent's conversation. Editors.
    ///
    /// # Errors
    /// `Conflict` while the parent still runs. `Invalid` for a step, item, version, input or role that is not there or
    /// does not fit: nothing is written.
    pub async fn fork(
        &self,
        user: &User,
        project: &ProjectKey,
        run: RunNumber,
        fork: Fork,
    ) -> Result<Launched> {
        let row = self.run_row(user, project, run, Permission::Editor).await?;
        let id = row.project();
        let digest =
            request_digest(&json!([{ "fork": run }, Fork { idempotency_key: None, ..fork.clone() }]))?;
        fork.idempotency_key.as_deref().map(checked_key).transpose()?;
        let idempotency = fork.idempotency_key.clone().map(|key| (key, digest));
        if let Some(earlier) = self.launched_under(id, idempotency.as_ref()).await? {
            return Ok(earlier);
        }
        let state = self.state_of(row.id()).await?;
        if !state.phase.is_end() {
            return Err(Error::Conflict(format!("run {run} has not ended: stop it, or wait for its end")));
        }
        let summary = row.summary()?;
        let template = row.template_id.map(TemplateId);
        let version = fork.template_version.unwrap_or(summary.template.version);
        if version != summary.template.version {
            let known = match template {
                Some(template) => versions::template(self.0.store.read(), template, version).await?.is_some(),
                None => false,
            };
            if !known {
                let why = format!("the template has no version {version}");
                return Err(Error::invalid("templateVersion", why));
            }
        }
        let compiled = self.compiled(template, version).await?;
        let Some(from) = compiled.plan.position(&fork.from_step) else {
            let why = format!("the template has no step named '{}'", fork.from_step);
            return Err(Error::invalid("fromStep", why));
        };
        let input = match &fork.input {
            Some(input) => input.clone(),
            None => {
                let text = self.stored_text(row.id(), row.snapshot.input).await?;
                serde_json::from_str(&text).map_err(Error::internal)?
            }
        };
        let mut role_assignments = row.snapshot.role_assignments.clone();
        // Another version may have lost the step.
        role_assignments.retain(|step, _| compiled.plan.steps.iter().any(|planned| planned.takes(step)));
        role_assignments.extend(fork.role_assignments.clone());
        let branch = Some(self.branch_of(summary.task, summary.message).await?);
        let launch = Launch { input, role_assignments, branch, ..Launch::default() };
        let roles = versions::roles(self.0.store.read(), id).await?;
        let prepared = self.prepare(id, (template, version, compiled.clone()), roles, &launch)?;
        let parent = Parent { run, from_step: fork.from_step.clone() };
        let content = user_message::describe_fork(
            &prepared.version,
            &parent,
            fork.items.as_deref(),
            fork.input.as_ref(),
        );
        let steps = self.kept(&row, &state, &compiled, from, fork.items.as_deref()).await?;
        let request = LaunchRequest {
            user: Some(user.id),
            by: user.name.clone(),
            content,
            title: String::new(),
            task: Some(summary.task),
            idempotency,
            caller: None,
            reuse: Some(ReusedSteps { parent, steps }),
        };
        let launched = self.open_run(prepared, &launch, request).await?;
        // Who runs it again has seen that it failed. The launch stands, whatever becomes of this.
        if let Err(error) = self.settle_failure(user, id, run).await {
            tracing::warn!(%run, %error, source = ?error, "a failure that was rerun stays in the inbox");
        }
        Ok(launched)
    }

    /// What the fork takes over: the outputs that the parent has of steps that do not run again.
    async fn kept(
        &self,
        parent: &RunRow,
        state: &RunState,
        compiled: &CompiledTemplate,
        from: u32,
        items: Option<&[u32]>,
    ) -> Result<Vec<(StepRunId, Reused)>> {
        let old = |step: u32| {
            let place = state.plan.position(&compiled.plan.steps[step as usize].name)?;
            Some((place, &state.steps[place as usize]))
        };
        let again = runs_again(&compiled.plan, from, |step| {
            old(step).is_some_and(|(_, run)| is_kept(run, compiled.outputs[step as usize].is_typed()))
        });
        let upstream = &compiled.plan.steps[from as usize].depends_on;
        if items.is_some() && upstream.iter().any(|step| again.contains(step)) {
            let why = "a step before it has to run again, and may change the list: leave 'items' out";
            return Err(Error::invalid("items", why));
        }
        let mut kept = Vec::new();
        for step in 0..compiled.plan.steps.len() as u32 {
            let id = StepRunId { step, item: None };
            let Some((_, run)) = old(step) else { continue };
            if step == from
                && let Some(wanted) = items
            {
                kept.push((id, self.kept_items(parent, run, wanted, compiled, step).await?));
            } else if again.contains(&step) {
                continue;
            } else if let Some(output) = &run.output {
                kept.push((id, Reused::Output(self.parents_output(parent, output, compiled, step).await?)));
            } else {
                kept.push((id, Reused::Skipped));
            }
        }
        if items.is_some() && old(from).is_none() {
            return Err(Error::invalid("items", "the parent run has no such step"));
        }
        Ok(kept)
    }

    async fn kept_items(
        &self,
        parent: &RunRow,
        run: &StepState,
        wanted: &[u32],
        compiled: &CompiledTemplate,
        step: u32,
    ) -> Result<Reused> {
        let Some(items) = run.items.as_ref().filter(|_| compiled.plan.steps[step as usize].for_each) else {
            return Err(Error::invalid("items", "the step has no items in that run"));
        };
        if wanted.is_empty() {
            return Err(Error::invalid(
                "items",
                "name at least one, or leave it out to run all of them again",
            ));
        }
        if let Some(unknown) = wanted.iter().find(|&&item| item as usize >= items.runs.len()) {
            let why = format!("there is no item {unknown}: that run has {}, from 0 on", items.runs.len());
            return Err(Error::invalid("items", why));
        }
        let list = self.stored_text(parent.id(), items.list.id).await?;
        let list = serde_json::from_str(&list).map_err(Error::internal)?;
        let mut outputs = BTreeMap::new();
        for (item, run) in (0u32..).zip(&items.runs).filter(|(item, _)| !wanted.contains(item)) {
            // One that has no output has nothing to take over: it runs again, too.
            let typed = compiled.outputs[step as usize].is_typed();
            if let Some(output) = run.output.as_ref().filter(|output| output.json || !typed) {
                outputs.insert(item, self.parents_output(parent, output, compiled, step).await?);
            }
        }
        Ok(Reused::Items { list, outputs })
    }

    async fn parents_output(
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
}

/// Whether the run of a step can be taken over into a step whose outputs have, or have not, a type of their own.
fn is_kept(run: &StepState, typed: bool) -> bool {
    match run.status {
        StepStatus::Completed => run.output.as_ref().is_some_and(|output| output.json || !typed),
        StepStatus::Skipped => run.condition == Some(false),
        _ => false,
    }
}

/// The steps that run again: `from`, those that have nothing to be taken over, and all that depends on any of them.
fn runs_again(plan: &Plan, from: u32, is_kept: impl Fn(u32) -> bool) -> BTreeSet<u32> {
    let dependents = plan.dependents();
    let mut again = BTreeSet::new();
    let mut open: Vec<u32> =
        (0..plan.steps.len() as u32).filter(|&step| step == from || !is_kept(step)).collect();
    while let Some(step) = open.pop() {
        if again.insert(step) {
            open.extend(&dependents[step as usize]);
        }
    }
    again
}

impl RunActor {
    /// Records what is taken over, before anything is decided.
    pub(super) fn reuse(&mut self, reuse: ReusedSteps, batch: &mut Batch) {
        for (step, kept) in reuse.steps {
            match kept {
                Reused::Output(output) => {
                    // What cannot be mapped (another version maps it) runs again.
                    if self.map_output(step, &output.value).is_ok() {
                        self.take_over(step, output, batch);
                    }
                }
                Reused::Skipped => {
                    let reason = format!("its condition did not hold in run {}", reuse.parent.run);
                    self.record(batch, EventKind::Skipped { step, reason });
                }
                Reused::Items { list, outputs } => {
                    self.record(batch, EventKind::Ready { step });
                    self.set_list(step, list, batch);
                    for (item, output) in outputs {
                        self.take_over(StepRunId { step: step.step, item: Some(item) }, output, batch);
                    }
                }
            }
        }
    }

    fn take_over(&mut self, step: StepRunId, output: Output, batch: &mut Batch) {
        let reference = self.keep_output(batch, &output);
        self.hold(step, output.text.len(), output.value);
        self.record(batch, EventKind::Reused { step, output: reference });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::plan::PlannedStep;

    #[test]
    fn what_depends_on_the_step_runs_again_and_so_does_what_has_no_output() {
        let step = |name: &str, depends_on: &[u32]| PlannedStep {
            name: name.to_owned(),
            depends_on: depends_on.into(),
            ..PlannedStep::default()
        };
        let steps = vec![step("A", &[]), step("B", &[0]), step("C", &[0]), step("D", &[1]), step("E", &[2])];
        let plan = Plan { steps };
        assert_eq!(runs_again(&plan, 1, |_| true), BTreeSet::from([1, 3]));
        assert_eq!(runs_again(&plan, 1, |step| step != 2), BTreeSet::from([1, 2, 3, 4]));
        assert_eq!(runs_again(&plan, 0, |_| true), BTreeSet::from([0, 1, 2, 3, 4]));
    }
}
