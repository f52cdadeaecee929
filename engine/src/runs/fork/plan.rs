//! The plan of a fork: which steps run again, and why; which are reused.

use super::{
    super::{Launch, child_templates::ChildTemplates, compiled::CompiledTemplate, prepare::PreparedLaunch},
    Fork,
    changes::{Given, change},
};
use crate::{
    Engine, Error, Result,
    store::{
        runs::RunRow,
        versions::{self, RoleHead},
    },
};
use domain::{
    fork::RerunReason,
    id::{ProjectId, RunNumber, TemplateId},
    key::RoleKey,
    plan::Plan,
    role::StepRole,
    run::{RunState, StepState, StepStatus},
    template::Uses,
    view::RunSummary,
};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A fork that was checked against its parent.
pub(super) struct ForkPlan {
    pub parent: ParentRun,
    pub from: u32,
    pub items: Option<BTreeSet<u32>>,
    pub again: BTreeMap<u32, RerunReason>,
    /// The reused steps that should run again, with the reasons.
    pub stale: BTreeMap<u32, RerunReason>,
    pub prepared: PreparedLaunch,
    pub launch: Launch,
    /// The newest version of the template, if it is newer than the one that is run.
    pub newer: Option<u32>,
}

pub(super) struct ParentRun {
    pub row: RunRow,
    pub number: RunNumber,
    pub version: u32,
    pub state: RunState,
}

impl Engine {
    /// The steps that run again and those that are reused, and the resulting launch.
    pub(super) async fn plan_fork(&self, row: RunRow, fork: &Fork) -> Result<ForkPlan> {
        let (summary, project) = (row.summary()?, row.project());
        let run = summary.number;
        let state = self.state_of(&row).await?;
        if !state.phase.is_end() {
            return Err(Error::Conflict(format!("run {run} has not ended: stop it, or wait for its end")));
        }
        let template = row.template_id.map(TemplateId);
        let (version, newer) = self.versions_of_fork(project, template, &summary, fork).await?;
        let compiled = self.compiled(template, version).await?;
        let Some(from) = compiled.plan.position(&fork.from_step) else {
            let why = format!("the template has no step named '{}'", fork.from_step);
            return Err(Error::invalid("fromStep", why));
        };
        let old_input = self.stored_text(row.id(), row.snapshot.input).await?;
        let old_input: Value = serde_json::from_str(&old_input).map_err(Error::internal)?;
        let parent = ParentRun { number: run, version: summary.template.version, row, state };
        let input = fork.input.clone().unwrap_or_else(|| old_input.clone());
        let now = Given { compiled: &compiled, version, input: &input };
        let roles = versions::roles(self.0.store.read(), project).await?;
        let runnable = (template, version, compiled.clone());
        let children =
            self.settle_child_templates(project, &runnable, &fork.role_assignments, &roles).await?;
        let mut changes = self.changes(&parent, &old_input, &now).await?;
        changed_children(&parent, &compiled, &children, &mut changes);
        let forced = self.forced_steps(&parent, &now, from, fork).await?;
        let again = runs_again(&compiled.plan, from, &forced, |step| {
            if takes_over(&parent, &compiled, step) {
                changes.get(&step).cloned()
            } else {
                Some(RerunReason::NoOutput)
            }
        });
        let stale = stale(&compiled.plan, from, &forced, &again, &changes);
        let items = match &fork.items {
            Some(wanted) => {
                let changed = changes.get(&from).filter(|_| !forced.contains(&from));
                Some(checked_items(&parent, &compiled, from, wanted, changed, &again)?)
            }
            None => None,
        };
        let role_assignments = merged(&parent, &compiled.plan, &again, fork, &roles);
        let branch = Some(self.branch_of(summary.task, summary.message).await?);
        let launch = Launch { input, role_assignments, branch, ..Launch::default() };
        let mut prepared = self.prepare(project, runnable, roles, &launch, children).await?;
        credit_makers(&parent, &mut prepared, &again);
        Ok(ForkPlan { parent, from, items, again, stale, prepared, launch, newer })
    }

    /// The version that the fork runs, and the newest one if that is newer.
    async fn versions_of_fork(
        &self,
        project: ProjectId,
        template: Option<TemplateId>,
        parent: &RunSummary,
        fork: &Fork,
    ) -> Result<(u32, Option<u32>)> {
        let version = fork.template_version.unwrap_or(parent.template.version);
        if version != parent.template.version {
            let known = match template {
                Some(template) => versions::template(self.0.store.read(), template, version).await?.is_some(),
                None => false,
            };
            if !known {
                let why = format!("the template has no version {version}");
                return Err(Error::invalid("templateVersion", why));
            }
        }
        let newest = versions::newest_template(self.0.store.read(), project, &parent.template.key).await?;
        let newer = newest.filter(|(id, newest)| Some(*id) == template && *newest > version);
        Ok((version, newer.map(|(_, newest)| newest)))
    }

    /// The indexes of the steps whose outputs are reused in spite of changes. Their outputs must exist, and the
    /// `outputMapping` of the version that is run must accept them.
    async fn forced_steps(
        &self,
        parent: &ParentRun,
        now: &Given<'_>,
        from: u32,
        fork: &Fork,
    ) -> Result<BTreeSet<u32>> {
        let (compiled, run) = (now.compiled, parent.number);
        let refused = |why: String| Err(Error::invalid("reuse", why));
        let mut forced = BTreeSet::new();
        for name in &fork.reuse {
            let Some(step) = compiled.plan.position(name) else {
                return refused(format!("the template has no step named '{name}'"));
            };
            if !forced.insert(step) {
                continue;
            }
            if step == from {
                if fork.items.is_none() {
                    return refused(format!("'{name}' is the step that the rerun begins with"));
                }
                // Only the items are reused; the step's own output is gathered again.
                continue;
            }
            let old = old_step(&parent.state, &compiled.plan, step);
            let Some(old) = old.filter(|old| is_kept(old, compiled, step)) else {
                return refused(format!("run {run} has no output of '{name}' that could be reused"));
            };
            if !self.can_be_mapped(parent, old, now, step).await? {
                let version = now.version;
                return refused(format!(
                    "the output of '{name}' in run {run} does not fit the step's outputMapping in version {version}"
                ));
            }
        }
        Ok(forced)
    }

    /// Why each step with an output in the parent would be executed differently now.
    async fn changes(
        &self,
        parent: &ParentRun,
        old_input: &Value,
        now: &Given<'_>,
    ) -> Result<BTreeMap<u32, RerunReason>> {
        let compiled = self.compiled_of_run(&parent.row, &parent.state.plan).await?;
        let before = Given { compiled: &compiled, version: parent.version, input: old_input };
        let mut changes = BTreeMap::new();
        for step in 0..now.compiled.plan.steps.len() as u32 {
            let name = &now.compiled.plan.steps[step as usize].name;
            let Some(was) = parent.state.plan.position(name) else { continue };
            let old = &parent.state.steps[was as usize];
            let stale = old.origin.as_ref().and_then(|origin| origin.stale.clone());
            let reason = match stale {
                Some(RerunReason::Stale { reason }) => Some(RerunReason::Stale { reason }),
                Some(reason) => Some(RerunReason::Stale { reason: Box::new(reason) }),
                None => change(&before, now, was, step),
            };
            if let Some(reason) = reason {
                changes.insert(step, reason);
            } else if !self.can_be_mapped(parent, old, now, step).await? {
                changes.insert(step, RerunReason::OutputMapping { version: now.version });
            }
        }
        Ok(changes)
    }

    /// Whether the `outputMapping` of the version that is run accepts the parent's output.
    async fn can_be_mapped(
        &self,
        parent: &ParentRun,
        old: &StepState,
        now: &Given<'_>,
        step: u32,
    ) -> Result<bool> {
        let planned = &now.compiled.template.steps[step as usize];
        let Some(output) = old.output.as_ref().filter(|_| !planned.output_mapping.is_empty()) else {
            return Ok(true);
        };
        let value = self.parents_output(&parent.row, output, now.compiled, step).await?.value;
        let evaluate = || now.compiled.evaluator.output_mapping(planned, &value);
        Ok(now.compiled.evaluate(output.bytes as usize, evaluate).is_ok())
    }
}

/// Adds the steps that call a template, directly or indirectly, of which another version is run now.
fn changed_children(
    parent: &ParentRun,
    compiled: &CompiledTemplate,
    children: &ChildTemplates,
    changes: &mut BTreeMap<u32, RerunReason>,
) {
    // Runs that were launched before versions were pinned do not have theirs.
    let before = &parent.row.snapshot.templates;
    for (step, place) in compiled.template.steps.iter().zip(0u32..) {
        let Some(Uses::Template(key)) = &step.uses else { continue };
        let below = children.pinned_below(key);
        let changed = below.into_iter().find(|(key, now)| before.get(*key).is_some_and(|then| then != now));
        if let Some((key, (_, version))) = changed {
            let reason = RerunReason::Child { template: key.clone(), version };
            changes.entry(place).or_insert(reason);
        }
    }
}

/// The reasons of the reused steps that should run again.
fn stale(
    plan: &Plan,
    from: u32,
    forced: &BTreeSet<u32>,
    again: &BTreeMap<u32, RerunReason>,
    changes: &BTreeMap<u32, RerunReason>,
) -> BTreeMap<u32, RerunReason> {
    let reason = |step: u32| {
        let upstream = || plan.steps[step as usize].depends_on.iter().find(|on| again.contains_key(on));
        let name = |on: &u32| plan.steps[*on as usize].name.clone();
        let upstream =
            || upstream().filter(|_| step != from).map(|on| RerunReason::Upstream { step: name(on) });
        changes.get(&step).cloned().or_else(upstream)
    };
    forced.iter().filter_map(|&step| Some((step, reason(step)?))).collect()
}

/// Whether the parent has an output or a skip of step `step` of the fork's plan that the fork can reuse.
fn takes_over(parent: &ParentRun, compiled: &CompiledTemplate, step: u32) -> bool {
    old_step(&parent.state, &compiled.plan, step).is_some_and(|old| is_kept(old, compiled, step))
}

/// The parent's state of step `step` of the fork's plan.
pub(super) fn old_step<'s>(parent: &'s RunState, plan: &Plan, step: u32) -> Option<&'s StepState> {
    let place = parent.plan.position(&plan.steps[step as usize].name)?;
    parent.steps.get(place as usize)
}

/// Whether the state of a step run fits the same step of another version.
fn is_kept(run: &StepState, compiled: &CompiledTemplate, step: u32) -> bool {
    let typed = compiled.outputs[step as usize].is_typed();
    match run.status {
        StepStatus::Completed => run.output.as_ref().is_some_and(|output| output.json || !typed),
        StepStatus::Skipped => run.condition == Some(false),
        _ => false,
    }
}

/// The items to run again, if the others can be reused.
fn checked_items(
    parent: &ParentRun,
    compiled: &CompiledTemplate,
    from: u32,
    wanted: &[u32],
    changed: Option<&RerunReason>,
    again: &BTreeMap<u32, RerunReason>,
) -> Result<BTreeSet<u32>> {
    let invalid = |why: String| Err(Error::invalid("items", why));
    let planned = &compiled.plan.steps[from as usize];
    if planned.depends_on.iter().any(|step| again.contains_key(step)) {
        return invalid(
            "a step before it has to run again, and may change the list: leave 'items' out".to_owned(),
        );
    }
    if let Some(reason) = changed {
        return invalid(format!(
            "the outputs of its other items are stale ({reason}): leave 'items' out, or name the step in 'reuse'"
        ));
    }
    let Some(old) = old_step(&parent.state, &compiled.plan, from) else {
        return invalid("the parent run has no such step".to_owned());
    };
    let Some(items) = old.items.as_ref().filter(|_| planned.for_each) else {
        return invalid("the step has no items in that run".to_owned());
    };
    if wanted.is_empty() {
        return invalid("name at least one, or leave it out to run all of them again".to_owned());
    }
    if let Some(unknown) = wanted.iter().find(|&&item| item as usize >= items.runs.len()) {
        return invalid(format!("there is no item {unknown}: that run has {}, from 0 on", items.runs.len()));
    }
    Ok(wanted.iter().copied().collect())
}

/// The parent's role assignments, overridden by those of the fork.
fn merged(
    parent: &ParentRun,
    plan: &Plan,
    again: &BTreeMap<u32, RerunReason>,
    fork: &Fork,
    roles: &[RoleHead],
) -> BTreeMap<String, RoleKey> {
    let mut merged = parent.row.snapshot.role_assignments.clone();
    merged.retain(|name, role| {
        // Drops assignments for steps that the version no longer has, and for deleted roles, unless their step runs
        // again.
        let Some(place) = plan.steps.iter().position(|planned| planned.takes(name)) else { return false };
        again.contains_key(&(place as u32)) || roles.iter().any(|known| known.key == *role)
    });
    merged.extend(fork.role_assignments.clone());
    merged
}

/// Sets the role of each reused step to the one that made its output.
fn credit_makers(parent: &ParentRun, prepared: &mut PreparedLaunch, again: &BTreeMap<u32, RerunReason>) {
    let plan = prepared.compiled.plan.clone();
    for role in prepared.roles.iter_mut().filter(|role| !again.contains_key(&role.step)) {
        let maker = old_step(&parent.state, &plan, role.step).and_then(|old| old.role.as_ref());
        if let Some(maker) = maker {
            *role = StepRole { step: role.step, ..maker.clone() };
        }
    }
}

/// The steps that run again, each with its reason: `from`, the steps that have a `reason`, and everything that depends
/// on any of them, except the `forced` steps, which are reused.
fn runs_again(
    plan: &Plan,
    from: u32,
    forced: &BTreeSet<u32>,
    reason: impl Fn(u32) -> Option<RerunReason>,
) -> BTreeMap<u32, RerunReason> {
    let dependents = plan.dependents();
    let mut again = BTreeMap::new();
    for step in 0..plan.steps.len() as u32 {
        if step == from {
            again.insert(step, RerunReason::Start);
        } else if !forced.contains(&step)
            && let Some(reason) = reason(step)
        {
            again.insert(step, reason);
        }
    }
    let mut open: Vec<u32> = again.keys().copied().collect();
    while let Some(step) = open.pop() {
        for &dependent in &dependents[step as usize] {
            if !again.contains_key(&dependent) && !forced.contains(&dependent) {
                let step = plan.steps[step as usize].name.clone();
                again.insert(dependent, RerunReason::Upstream { step });
                open.push(dependent);
            }
        }
    }
    again
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
        let again = |from, forced: &[u32], gone: Option<u32>| {
            let reason = |step| (Some(step) == gone).then_some(RerunReason::NoOutput);
            let again = runs_again(&plan, from, &forced.iter().copied().collect(), reason);
            again.into_keys().collect::<Vec<_>>()
        };
        assert_eq!(again(1, &[], None), [1, 3]);
        assert_eq!(again(1, &[], Some(2)), [1, 2, 3, 4]);
        assert_eq!(again(0, &[], None), [0, 1, 2, 3, 4]);
        // A step that is reused although its input changed spares the steps that depend only on it.
        assert_eq!(again(0, &[2], None), [0, 1, 3]);
    }
}
