//! The templates that steps call (`uses: template:KEY`), checked before a run begins: that they exist, that their
//! required input is mapped, and that every call cycle has a condition. Also pins the version of each that is run.
//!
//! Invariant: in all runs below one launch, a key means the same version. The version is stored with the run and passed
//! to its child runs, so saving a template does not affect live runs.

use super::{
    body::{self, child::MAX_DEPTH},
    compiled::{ASK, CompiledTemplate},
};
use crate::{Engine, Error, Result, store::versions::RoleHead};
use domain::{
    id::{ProjectId, TemplateId},
    key::{RoleKey, TemplateKey},
    plan::{Body, Plan},
    problem::Problem,
    role::ResolveError,
    template::{Step, Template, Uses},
};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

/// The most templates that one template may call, directly or indirectly.
const MOST_CALLED: usize = 500;

/// The pinned version of each template key. The built-in template has none.
pub(super) type PinnedVersions = BTreeMap<TemplateKey, (TemplateId, u32)>;

/// The templates that a template calls, directly or indirectly.
#[derive(Default)]
pub(super) struct ChildTemplates {
    pub pinned: PinnedVersions,
    /// The reasons why the template cannot be launched, each with its place in the template's document.
    pub problems: Vec<Problem>,
    callees: BTreeMap<TemplateKey, Callee>,
    /// Whether some of them have steps that need a role.
    needs_role: bool,
    /// Whether some of them call the top template, the one to launch.
    calls_top: bool,
}

enum Callee {
    There(Arc<CompiledTemplate>),
    /// The reason why it cannot be launched.
    Refused(String),
    /// The top template, called by one of its callees.
    Top,
}

/// A template whose calls are still to be checked, and the step of the top document that leads to it.
struct Visit {
    template: Arc<CompiledTemplate>,
    place: usize,
    depth: u32,
}

/// One call of a template.
struct Call<'c> {
    step: &'c Step,
    key: &'c TemplateKey,
    /// The template that contains the step, unless it is the top template.
    caller: Option<&'c TemplateKey>,
    /// The step of the top document that is this call or leads to it.
    place: usize,
    /// The depth of the run that the call would launch.
    depth: u32,
}

impl Call<'_> {
    fn problem(&self, field: &str, why: String) -> Problem {
        match self.caller {
            None => Problem::new(format!("steps[{}].{field}", self.place), why),
            Some(caller) => {
                let why = format!("template '{caller}', step '{}': {why}", self.step.name);
                Problem::new(format!("steps[{}].uses", self.place), why)
            }
        }
    }
}

impl Engine {
    /// Checks all templates that `top` calls. `own`: the id and version to launch; `None` for a document that is not
    /// stored and for the built-in template.
    pub(super) async fn child_templates(
        &self,
        project: ProjectId,
        top: &Template,
        own: Option<(TemplateId, u32)>,
    ) -> Result<ChildTemplates> {
        let mut found = ChildTemplates::default();
        found.callees.insert(top.key.clone(), Callee::Top);
        let mut open = VecDeque::new();
        for (place, step, key) in calls(top) {
            let call = Call { step, key, caller: None, place, depth: 1 };
            found.look_at(self, project, top, &call, &mut open).await?;
        }
        while let Some(Visit { template, place, depth }) = open.pop_front() {
            let template = &template.template;
            for (_, step, key) in calls(template) {
                let call = Call { step, key, caller: Some(&template.key), place, depth: depth + 1 };
                found.look_at(self, project, top, &call, &mut open).await?;
            }
        }
        if let Some(own) = own
            && found.calls_top
        {
            found.pinned.insert(top.key.clone(), own);
        }
        found.find_circles(top);
        Ok(found)
    }

    /// Like [`child_templates`](Self::child_templates), and checks that roles exist and that role assignments match
    /// steps, including those of child runs.
    pub(super) async fn settle_child_templates(
        &self,
        project: ProjectId,
        (template_id, version, compiled): &(Option<TemplateId>, u32, Arc<CompiledTemplate>),
        assignments: &BTreeMap<String, RoleKey>,
        roles: &[RoleHead],
    ) -> Result<ChildTemplates> {
        if !compiled.has_children {
            return Ok(ChildTemplates::default());
        }
        let own = template_id.map(|id| (id, *version));
        let mut found = self.child_templates(project, &compiled.template, own).await?;
        let needs_role = |plan: &Plan| plan.steps.iter().any(|step| step.body.needs_role());
        // If the template itself needs a role, its own resolution reports that.
        if roles.is_empty() && found.needs_role && !needs_role(&compiled.plan) {
            found.problems.push(Problem::new("", ResolveError::NoRoles.to_string()));
        }
        for name in assignments.keys() {
            if let Some(why) = found.unknown_step(compiled, name) {
                found.problems.push(Problem::new(format!("roleAssignments.{name}"), why));
            }
        }
        Ok(found)
    }

    /// Hints for the document's author: what a launch would refuse now. Templates may be saved in any order.
    pub(crate) async fn child_hints(
        &self,
        project: ProjectId,
        template: &Template,
        lines: &[u32],
    ) -> Result<Vec<Problem>> {
        if calls(template).next().is_none() {
            return Ok(Vec::new());
        }
        let mut hints = self.child_templates(project, template, None).await?.problems;
        for hint in &mut hints {
            let step = hint.path.strip_prefix("steps[").and_then(|rest| rest.split_once(']'));
            let step = step.and_then(|(step, _)| step.parse::<usize>().ok());
            hint.line = step.and_then(|step| lines.get(step).copied());
        }
        Ok(hints)
    }

    async fn callee(
        &self,
        project: ProjectId,
        key: &TemplateKey,
    ) -> Result<(Callee, Option<(TemplateId, u32)>)> {
        let refused = |why: String| Ok((Callee::Refused(why), None));
        match self.newest(project, key).await {
            Ok((id, version, compiled)) => {
                let pinned = id.map(|id| (id, version));
                Ok(match body::unsupported(&compiled.template) {
                    Some(why) => {
                        (Callee::Refused(format!("template '{key}' cannot be launched: {why}")), pinned)
                    }
                    None => (Callee::There(compiled), pinned),
                })
            }
            Err(Error::NotFound { .. }) => refused(format!("there is no template '{key}'")),
            Err(Error::Invalid(problems)) => {
                let first = problems.first().map(ToString::to_string).unwrap_or_default();
                refused(format!("template '{key}' is not valid: {first}"))
            }
            Err(error) => Err(error),
        }
    }
}

impl ChildTemplates {
    /// The templates of a child run, which were checked at the launch of the top run.
    pub fn inherited(pinned: &PinnedVersions) -> Self {
        Self { pinned: pinned.clone(), ..Self::default() }
    }

    async fn look_at(
        &mut self,
        engine: &Engine,
        project: ProjectId,
        top: &Template,
        call: &Call<'_>,
        open: &mut VecDeque<Visit>,
    ) -> Result<()> {
        if !self.callees.contains_key(call.key) {
            if self.callees.len() > MOST_CALLED {
                let why = format!("a template may call at most {MOST_CALLED} others, directly or below");
                self.say(call.problem("uses", why));
                return Ok(());
            }
            let (callee, pinned) = engine.callee(project, call.key).await?;
            if let Callee::There(template) = &callee {
                self.needs_role |= template.plan.steps.iter().any(|step| step.body.needs_role());
                if call.depth < MAX_DEPTH {
                    open.push_back(Visit {
                        template: template.clone(),
                        place: call.place,
                        depth: call.depth,
                    });
                }
            }
            self.callees.insert(call.key.clone(), callee);
            self.pinned.extend(pinned.map(|pinned| (call.key.clone(), pinned)));
        }
        let template = match &self.callees[call.key] {
            Callee::Refused(why) => {
                let problem = call.problem("uses", why.clone());
                self.say(problem);
                return Ok(());
            }
            Callee::There(template) => template.template.input.as_ref(),
            Callee::Top => {
                self.calls_top = true;
                top.input.as_ref()
            }
        };
        for (field, why) in unmapped(call.step, call.key, template) {
            self.say(call.problem(&field, why));
        }
        Ok(())
    }

    fn say(&mut self, problem: Problem) {
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    /// Reports the steps of `top` whose calls could never end.
    fn find_circles(&mut self, top: &Template) {
        // The templates that can end: each of their unconditional calls is to a template that can end.
        let mut ends: BTreeSet<&TemplateKey> = BTreeSet::new();
        let below = |key: &TemplateKey| match self.callees.get(key) {
            Some(Callee::There(template)) => Some(&template.template),
            Some(Callee::Top) => Some(top),
            // Missing: the template is deeper than runs may nest.
            Some(Callee::Refused(_)) | None => None,
        };
        loop {
            let before = ends.len();
            for key in self.callees.keys() {
                let always =
                    below(key).into_iter().flat_map(calls).filter(|(_, step, _)| is_unconditional(step));
                let can_end =
                    |called: &TemplateKey| ends.contains(called) || !self.callees.contains_key(called);
                if always.map(|(_, _, called)| called).all(can_end) {
                    ends.insert(key);
                }
            }
            if ends.len() == before {
                break;
            }
        }
        let stuck = |key: &TemplateKey| self.callees.contains_key(key) && !ends.contains(key);
        let mut said = Vec::new();
        for (place, _, key) in calls(top) {
            // The templates that are reached through the step.
            let (mut seen, mut open) = (BTreeSet::new(), vec![key]);
            while let Some(key) = open.pop() {
                if seen.insert(key) && !stuck(key) && *key != top.key {
                    open.extend(below(key).into_iter().flat_map(calls).map(|(_, _, called)| called));
                }
            }
            let circle = seen.into_iter().find(|key| stuck(key));
            if let Some(key) = circle {
                let why = format!(
                    "template '{key}' would call itself for ever: give a step on that circle a condition"
                );
                said.push(Problem::new(format!("steps[{place}].uses"), why));
            }
        }
        self.problems.extend(said);
    }

    /// The reason why no role can be assigned to `name`, such as `Step/Step of the child`. `None` if one can, or if the
    /// name has no such form.
    fn unknown_step(&self, top: &Arc<CompiledTemplate>, name: &str) -> Option<String> {
        if top.plan.position(name).is_some() {
            return None;
        }
        let mut missing = None;
        // Step names may contain a slash, so a name can have several readings.
        let (mut open, mut seen) = (vec![(top, name)], BTreeSet::new());
        while let Some((compiled, name)) = open.pop() {
            for (planned, step) in compiled.plan.steps.iter().zip(&compiled.template.steps) {
                let rest = name.strip_prefix(planned.name.as_str()).and_then(|rest| rest.strip_prefix('/'));
                let (Some(rest), Body::Template, Some(Uses::Template(key))) =
                    (rest, planned.body, &step.uses)
                else {
                    continue;
                };
                let callee = match self.callees.get(key) {
                    Some(Callee::There(callee)) => callee,
                    Some(Callee::Top) => top,
                    // Another problem reports this.
                    Some(Callee::Refused(_)) | None => return None,
                };
                if callee.plan.position(rest).is_some() {
                    return None;
                }
                missing.get_or_insert_with(|| format!("template '{key}' has no step named '{rest}'"));
                // Several paths may lead to the same remaining name.
                if seen.insert((&callee.template.key, rest.len())) {
                    open.push((callee, rest));
                }
            }
        }
        missing
    }

    /// The pinned versions of `key` and of all that it calls.
    pub fn pinned_below(&self, key: &TemplateKey) -> BTreeMap<&TemplateKey, (TemplateId, u32)> {
        let (mut found, mut open) = (BTreeMap::new(), vec![key]);
        let mut seen = BTreeSet::new();
        while let Some(key) = open.pop() {
            if !seen.insert(key) {
                continue;
            }
            if let Some((key, pinned)) = self.pinned.get_key_value(key) {
                found.insert(key, *pinned);
            }
            if let Some(Callee::There(template)) = self.callees.get(key) {
                open.extend(
                    calls(&template.template)
                        .filter_map(|(_, _, called)| self.callees.get_key_value(called).map(|(key, _)| key)),
                );
            }
        }
        found
    }
}

/// Each step that calls a template, with its place.
fn calls(template: &Template) -> impl Iterator<Item = (usize, &Step, &TemplateKey)> {
    template.steps.iter().enumerate().filter_map(|(place, step)| match &step.uses {
        Some(Uses::Template(key)) => Some((place, step, key)),
        _ => None,
    })
}

/// Whether the call is made for any input data. A forEach list may be empty.
fn is_unconditional(step: &Step) -> bool {
    step.condition.is_none() && step.for_each.is_none()
}

/// The required inputs that the step does not pass, and those that it passes but the template does not take; each with
/// the field of the step.
fn unmapped(step: &Step, key: &TemplateKey, input: Option<&Value>) -> Vec<(String, String)> {
    let Some(input) = input else { return Vec::new() };
    let arguments = step.with.iter().flat_map(|with| with.keys());
    let given: BTreeSet<&str> = step.input_mapping.keys().chain(arguments).map(String::as_str).collect();
    let properties = input.get("properties").and_then(Value::as_object);
    let has_default = |name: &str| properties.and_then(|all| all.get(name)?.get("default")).is_some();
    let required =
        input.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let missing = required.filter(|name| !given.contains(name) && !has_default(name)).map(|name| {
        let why = format!("template '{key}' requires the input '{name}', which nothing maps");
        ("inputMapping".to_owned(), why)
    });
    let closed = input.get("additionalProperties") == Some(&Value::Bool(false))
        && ["patternProperties", "allOf", "anyOf", "oneOf", "$ref"]
            .iter()
            .all(|word| input.get(word).is_none());
    let unknown =
        given.iter().filter(|name| closed && properties.is_none_or(|all| !all.contains_key(**name)));
    let unknown = unknown.map(|name| {
        let field = if step.input_mapping.contains_key(*name) { "inputMapping" } else { "with" };
        (format!("{field}.{name}"), format!("template '{key}' has no input '{name}'"))
    });
    missing.chain(unknown).collect()
}

/// Whether all templates that this one calls are pinned or built in.
pub(super) fn is_pinned(pinned: &PinnedVersions, compiled: &CompiledTemplate) -> bool {
    calls(&compiled.template).all(|(_, _, key)| key.as_ref() == ASK || pinned.contains_key(key))
}
