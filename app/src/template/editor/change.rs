//! Structural changes of a document beyond setting a field. Other parts refer to steps by name, so moving and renaming
//! update every mention.

use domain::template::{Step, StepType, Template, waits};
use serde_json::Value;
use std::collections::BTreeSet;

/// Adds an empty step after the one at `after` (at the end if `None`) and returns its index.
pub fn add(template: &mut Template, after: Option<usize>) -> usize {
    let place = after.map_or(template.steps.len(), |after| (after + 1).min(template.steps.len()));
    let before = place.checked_sub(1).and_then(|index| template.steps.get(index));
    let depends_on = is_graph(template).then(|| before.map(|step| step.name.clone()).into_iter().collect());
    let name = free_name(template, "New step");
    template.steps.insert(place, Step { name, prompt: Some(String::new()), depends_on, ..Step::default() });
    place
}

/// Inserts a copy after the step and returns its index.
pub fn duplicate(template: &mut Template, index: usize) -> Option<usize> {
    let mut copy = template.steps.get(index)?.clone();
    copy.name = free_name(template, &format!("{} copy", copy.name));
    template.steps.insert(index + 1, copy);
    Some(index + 1)
}

/// Swaps the step, and its `order`, with the step before or after it, and returns its new index.
pub fn shift(template: &mut Template, index: usize, down: bool) -> Option<usize> {
    let other = if down { index + 1 } else { index.checked_sub(1)? };
    if other >= template.steps.len() || index >= template.steps.len() {
        return None;
    }
    template.steps.swap(index, other);
    let (order, others) = (template.steps[index].order, template.steps[other].order);
    template.steps[index].order = others;
    template.steps[other].order = order;
    Some(other)
}

/// The names of other steps that refer to one of those in `of`, by `dependsOn` or in a text.
pub fn users(template: &Template, of: &BTreeSet<usize>) -> Vec<String> {
    let names: Vec<_> =
        of.iter().filter_map(|&index| Some(template.steps.get(index)?.name.as_str())).collect();
    let mentions: Vec<_> = names.iter().flat_map(|name| mentions(name)).collect();
    let uses = |step: &Step| {
        let depends = step.depends_on.iter().flatten().any(|dependency| names.contains(&dependency.as_str()));
        depends || texts(step).any(|text| mentions.iter().any(|mention| text.contains(mention.as_str())))
    };
    let others = template.steps.iter().enumerate().filter(|(other, _)| !of.contains(other));
    others.filter(|(_, step)| uses(step)).map(|(_, step)| step.name.clone()).collect()
}

/// Removes the step. Steps that depended on it depend on its dependencies instead. Texts that read it are left
/// unchanged, and the checks report them.
pub fn remove(template: &mut Template, index: usize) {
    if index >= template.steps.len() {
        return;
    }
    let gone = template.steps.remove(index);
    for step in &mut template.steps {
        let Some(dependencies) = &mut step.depends_on else { continue };
        let Some(place) = dependencies.iter().position(|name| *name == gone.name) else { continue };
        dependencies.remove(place);
        for inherited in gone.depends_on.iter().flatten() {
            if !dependencies.contains(inherited) {
                dependencies.push(inherited.clone());
            }
        }
    }
}

/// Renames the step and every mention of it.
pub fn rename(template: &mut Template, index: usize, name: &str) {
    let Some(step) = template.steps.get_mut(index) else { return };
    let old = std::mem::replace(&mut step.name, name.to_owned());
    if old == name || old.is_empty() || template.steps.iter().any(|step| step.name == old) {
        return;
    }
    mend(template, &old, name);
    for step in &mut template.steps {
        for dependency in step.depends_on.iter_mut().flatten().filter(|dependency| **dependency == old) {
            name.clone_into(dependency);
        }
    }
}

/// Makes texts that read the output of step `old` read that of step `name`.
pub fn mend(template: &mut Template, old: &str, name: &str) {
    if let Some(output) = &mut template.output {
        reread(output, old, name);
    }
    for step in &mut template.steps {
        mend_step(step, old, name);
    }
}

/// As [`mend`], for the texts of one step.
pub(super) fn mend_step(step: &mut Step, old: &str, name: &str) {
    for text in [&mut step.prompt, &mut step.condition, &mut step.for_each].into_iter().flatten() {
        reread(text, old, name);
    }
    for value in step.input_mapping.values_mut().chain(step.output_mapping.values_mut()) {
        if let Value::String(text) = value {
            reread(text, old, name);
        }
    }
}

fn reread(text: &mut String, old: &str, name: &str) {
    for (from, to) in mentions(old).iter().zip(mentions(name)) {
        if text.contains(from.as_str()) {
            *text = text.replace(from.as_str(), &to);
        }
    }
}

/// Whether steps declare their dependencies.
pub fn is_graph(template: &Template) -> bool {
    template.steps.iter().any(|step| step.depends_on.is_some())
}

/// Declares the dependencies of each step, so that the flow stays the same.
pub fn to_graph(template: &mut Template) {
    let waits = waits(template);
    let names: Vec<_> = template.steps.iter().map(|step| step.name.clone()).collect();
    for (step, waits) in template.steps.iter_mut().zip(waits) {
        step.order = None;
        step.parallel_group = None;
        step.step_type = step.step_type.filter(|kind| *kind != StepType::Parallel);
        step.depends_on = Some(waits.into_iter().map(|index| names[index as usize].clone()).collect());
    }
}

/// Removes all declared dependencies: steps run in document order again.
pub fn to_row(template: &mut Template) {
    for step in &mut template.steps {
        step.depends_on = None;
    }
}

/// The two ways in which an expression reads a step's output by name.
pub(super) fn mentions(name: &str) -> [String; 2] {
    [format!("context['{name}']"), format!("context[\"{name}\"]")]
}

fn texts(step: &Step) -> impl Iterator<Item = &str> {
    let mapped = step.input_mapping.values().chain(step.output_mapping.values()).filter_map(Value::as_str);
    let own = [&step.prompt, &step.condition, &step.for_each].into_iter().flatten().map(String::as_str);
    own.chain(mapped)
}

pub(super) fn free_name(template: &Template, wanted: &str) -> String {
    let taken = |name: &str| template.steps.iter().any(|step| step.name == name);
    let numbered = (2..).map(|number| format!("{wanted} {number}"));
    std::iter::once(wanted.to_owned()).chain(numbered).find(|name| !taken(name)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{key::TemplateKey, template::API_VERSION};

    fn template(steps: &[(&str, Option<&[&str]>, &str)]) -> Template {
        let step = |(name, depends_on, prompt): &(&str, Option<&[&str]>, &str)| Step {
            name: (*name).into(),
            depends_on: depends_on.map(|names| names.iter().map(ToString::to_string).collect()),
            prompt: Some((*prompt).into()),
            ..Step::default()
        };
        Template {
            api_version: API_VERSION.into(),
            key: TemplateKey::from_title("t"),
            name: "T".into(),
            description: None,
            input: None,
            output: None,
            steps: steps.iter().map(step).collect(),
        }
    }

    fn names(template: &Template) -> Vec<&str> {
        template.steps.iter().map(|step| step.name.as_str()).collect()
    }

    #[test]
    fn a_new_step_follows_the_one_before_it() {
        let mut row = template(&[("A", None, ""), ("B", None, "")]);
        assert_eq!(add(&mut row, Some(0)), 1);
        assert_eq!(names(&row), ["A", "New step", "B"]);
        assert_eq!(row.steps[1].depends_on, None);
        let mut graph = template(&[("A", Some(&[]), "")]);
        add(&mut graph, None);
        assert_eq!(graph.steps[1].depends_on, Some(vec!["A".to_owned()]));
        add(&mut graph, None);
        assert_eq!(graph.steps[2].name, "New step 2");
    }

    #[test]
    fn renaming_keeps_mentions_right() {
        let mut both = template(&[
            ("A", None, ""),
            ("B", Some(&["A"]), "{{ context['A'] }} and {{ context[\"A\"].x }}"),
        ]);
        assert_eq!(users(&both, &BTreeSet::from([0])), ["B"]);
        assert_eq!(users(&both, &BTreeSet::from([0, 1])), [""; 0]);
        rename(&mut both, 0, "Analyse");
        assert_eq!(both.steps[1].depends_on, Some(vec!["Analyse".to_owned()]));
        let prompt = both.steps[1].prompt.as_deref();
        assert_eq!(prompt, Some("{{ context['Analyse'] }} and {{ context[\"Analyse\"].x }}"));
        assert_eq!(users(&both, &BTreeSet::from([1])), [""; 0]);
    }

    #[test]
    fn removing_ties_the_ends_together() {
        let mut chain = template(&[("A", Some(&[]), ""), ("B", Some(&["A"]), ""), ("C", Some(&["B"]), "")]);
        remove(&mut chain, 1);
        assert_eq!(chain.steps[1].depends_on, Some(vec!["A".to_owned()]));
    }

    #[test]
    fn moving_swaps_the_orders_too() {
        let mut row = template(&[("A", None, ""), ("B", None, "")]);
        (row.steps[0].order, row.steps[1].order) = (Some(10), Some(20));
        assert_eq!(shift(&mut row, 0, true), Some(1));
        assert_eq!(names(&row), ["B", "A"]);
        assert_eq!((row.steps[0].order, row.steps[1].order), (Some(10), Some(20)));
        assert_eq!(shift(&mut row, 1, true), None);
        assert_eq!(shift(&mut row, 0, false), None);
        assert_eq!(duplicate(&mut row, 0), Some(1));
        assert_eq!(names(&row), ["B", "B copy", "A"]);
    }

    #[test]
    fn a_row_becomes_the_same_graph() {
        let mut row = template(&[("A", None, ""), ("B", None, ""), ("C", None, ""), ("D", None, "")]);
        for index in [1, 2] {
            row.steps[index].parallel_group = Some("g".into());
        }
        to_graph(&mut row);
        let waits: Vec<_> = row.steps.iter().map(|step| step.depends_on.clone().unwrap().join(" ")).collect();
        assert_eq!(waits, ["", "A", "A", "B C"]);
        to_row(&mut row);
        assert!(!is_graph(&row));
    }
}
