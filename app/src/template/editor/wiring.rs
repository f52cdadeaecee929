//! Changes of the flow from the canvas: inserting steps, edges, groups. A document whose order defines the flow stays
//! so if possible; drawing an edge turns it into a graph.

use super::change::{free_name, is_graph, mend_step, to_graph};
use domain::template::{Step, Template, upstream, waits, waves};
use std::collections::BTreeSet;

/// Inserts a step after the one at `from` and returns its index. In a chain, the following step then depends on the
/// new one.
pub fn add_after(template: &mut Template, from: usize) -> Option<usize> {
    let waits = waits(template);
    let followers: Vec<_> = (0..waits.len()).filter(|&other| waits[other].contains(&(from as u32))).collect();
    match followers.as_slice() {
        [one] if is_graph(template) && waits[*one].len() == 1 => add_between(template, from, *one),
        _ => insert(template, from),
    }
}

/// Inserts a step into the edge between two steps and returns its index.
pub fn add_between(template: &mut Template, from: usize, to: usize) -> Option<usize> {
    let source = template.steps.get(from)?.name.clone();
    let target = template.steps.get(to)?.name.clone();
    let place = insert(template, from)?;
    let name = template.steps[place].name.clone();
    // Without declared dependencies, the position is sufficient.
    for step in template.steps.iter_mut().filter(|step| step.name == target) {
        for dependency in step.depends_on.iter_mut().flatten().filter(|dependency| **dependency == source) {
            dependency.clone_from(&name);
        }
    }
    Some(place)
}

fn insert(template: &mut Template, from: usize) -> Option<usize> {
    let graph = is_graph(template);
    let source = template.steps.get(from)?.name.clone();
    let (mut place, mut order) = (from + 1, template.steps[from].order);
    if !graph {
        // After all steps that run together with it.
        let waves = waves(&waits(template));
        let together = || (0..waves.len()).filter(|&other| waves[other] == waves[from]);
        place = together().max().map_or(place, |last| last + 1);
        order = together().filter_map(|other| template.steps[other].order).max();
    }
    let name = free_name(template, "New step");
    let depends_on = graph.then(|| vec![source]);
    let step = Step { name, prompt: Some(String::new()), depends_on, order, ..Step::default() };
    template.steps.insert(place, step);
    Some(place)
}

/// Inserts a step that runs at the same time as the one at `from`, and returns its index.
pub fn add_beside(template: &mut Template, from: usize) -> Option<usize> {
    let group = free_group(template);
    let graph = is_graph(template);
    let step = template.steps.get_mut(from)?;
    if !graph && step.parallel_group.is_none() {
        step.parallel_group = Some(group);
    }
    let (order, depends_on) = (step.order, step.depends_on.clone().or(graph.then(Vec::new)));
    let parallel_group = step.parallel_group.clone();
    let name = free_name(template, "New step");
    let prompt = Some(String::new());
    let step = Step { name, prompt, depends_on, parallel_group, order, ..Step::default() };
    template.steps.insert(from + 1, step);
    Some(from + 1)
}

/// The result of drawing an edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    Drawn,
    /// The edge existed and was removed.
    Taken,
    /// The edge would close a cycle.
    Circle,
}

/// Makes `to` depend on `from`, or removes that dependency if it exists.
pub fn connect(template: &mut Template, from: usize, to: usize) -> Option<Line> {
    let (source, _) = (template.steps.get(from)?.name.clone(), template.steps.get(to)?);
    let waits = waits(template);
    if from == to || upstream(&waits, from as u32).contains(&(to as u32)) {
        return Some(Line::Circle);
    }
    if !is_graph(template) {
        to_graph(template);
    }
    let list = template.steps[to].depends_on.get_or_insert_default();
    if let Some(place) = list.iter().position(|name| *name == source) {
        list.remove(place);
        return Some(Line::Taken);
    }
    list.push(source);
    Some(Line::Drawn)
}

/// Makes the steps run at the same time. Returns false if one of them leads to another through a third step.
pub fn group(template: &mut Template, members: &BTreeSet<usize>) -> bool {
    let Some(&first) = members.first() else { return false };
    if members.len() < 2 || members.last().is_none_or(|last| *last >= template.steps.len()) {
        return false;
    }
    if is_graph(template) {
        return group_graph(template, members);
    }
    let known = members.iter().find_map(|&index| template.steps[index].parallel_group.clone());
    let group = known.unwrap_or_else(|| free_group(template));
    let order = template.steps[first].order;
    // A group must be contiguous, so the steps are moved together. From the last to the first, so that the remaining
    // indexes stay valid.
    let mut moved: Vec<Step> = members.iter().rev().map(|&index| template.steps.remove(index)).collect();
    moved.reverse();
    for step in &mut moved {
        step.parallel_group = Some(group.clone());
        step.order = order;
    }
    template.steps.splice(first..first, moved);
    true
}

fn group_graph(template: &mut Template, members: &BTreeSet<usize>) -> bool {
    let waits = waits(template);
    let outside = |index: &u32| !members.contains(&(*index as usize));
    let before: BTreeSet<u32> =
        members.iter().flat_map(|&member| &waits[member]).copied().filter(outside).collect();
    let leads_back = |&before: &u32| upstream(&waits, before).iter().any(|index| !outside(index));
    if before.iter().any(leads_back) {
        return false;
    }
    let names: Vec<_> = before.iter().map(|&index| template.steps[index as usize].name.clone()).collect();
    for &member in members {
        template.steps[member].depends_on = Some(names.clone());
    }
    true
}

/// Inserts copies of the steps after the last of them and returns their indexes. References among the steps become
/// references among the copies; references to other steps stay.
pub fn duplicate_all(template: &mut Template, members: &BTreeSet<usize>) -> BTreeSet<usize> {
    let mut copies: Vec<Step> =
        members.iter().filter_map(|&index| template.steps.get(index).cloned()).collect();
    let Some(place) = members.last().map(|last| (last + 1).min(template.steps.len())) else {
        return BTreeSet::new();
    };
    // A name is reserved before the next one is chosen.
    let mut names = Vec::new();
    for (offset, copy) in copies.iter_mut().enumerate() {
        let name = free_name(template, &format!("{} copy", copy.name));
        names.push((std::mem::replace(&mut copy.name, name.clone()), name));
        template.steps.insert(place + offset, copy.clone());
    }
    let mut groups: Vec<(String, String)> = Vec::new();
    for copy in &template.steps[place..place + names.len()] {
        let Some(group) = &copy.parallel_group else { continue };
        let shared = copies.iter().filter(|other| other.parallel_group.as_ref() == Some(group)).count();
        if shared > 1 && !groups.iter().any(|(known, _)| known == group) {
            // Groups that the copies must not join: those of the template, and those assigned to earlier copies.
            let taken = |name: &str| {
                template.steps.iter().any(|step| step.parallel_group.as_deref() == Some(name))
                    || groups.iter().any(|(_, given)| given == name)
            };
            let free = (1..).map(|number| format!("group-{number}")).find(|name| !taken(name));
            groups.extend(free.map(|free| (group.clone(), free)));
        }
    }
    for copy in &mut template.steps[place..place + names.len()] {
        for (old, new) in &names {
            mend_step(copy, old, new);
            for dependency in copy.depends_on.iter_mut().flatten().filter(|dependency| *dependency == old) {
                dependency.clone_from(new);
            }
        }
        if let Some(group) = &mut copy.parallel_group
            && let Some((_, own)) = groups.iter().find(|(old, _)| old == group)
        {
            group.clone_from(own);
        }
    }
    (place..place + names.len()).collect()
}

/// Makes the steps that run together with this one run one after the other. Returns false if there are none.
pub fn ungroup(template: &mut Template, index: usize) -> bool {
    let group = template.steps.get(index).and_then(|step| step.parallel_group.clone());
    let Some(group) = group.filter(|_| !is_graph(template)) else { return false };
    for step in template.steps.iter_mut().filter(|step| step.parallel_group.as_ref() == Some(&group)) {
        step.parallel_group = None;
    }
    true
}

fn free_group(template: &Template) -> String {
    let taken = |name: &str| template.steps.iter().any(|step| step.parallel_group.as_deref() == Some(name));
    (1..).map(|number| format!("group-{number}")).find(|name| !taken(name)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{key::TemplateKey, template::API_VERSION};

    fn row(names: &[&str]) -> Template {
        let step = |name: &&str| Step { name: (*name).into(), ..Step::default() };
        Template {
            api_version: API_VERSION.into(),
            key: TemplateKey::from_title("t"),
            name: "T".into(),
            description: None,
            input: None,
            output: None,
            steps: names.iter().map(step).collect(),
        }
    }

    fn graph(steps: &[(&str, &[&str])]) -> Template {
        let mut template = row(&steps.iter().map(|(name, _)| *name).collect::<Vec<_>>());
        for (step, (_, before)) in template.steps.iter_mut().zip(steps) {
            step.depends_on = Some(before.iter().map(ToString::to_string).collect());
        }
        template
    }

    /// For example "A, B(A)".
    fn said(template: &Template) -> String {
        let step = |step: &Step| match step.depends_on.as_deref() {
            None | Some([]) => step.name.clone(),
            Some(before) => format!("{}({})", step.name, before.join(" ")),
        };
        template.steps.iter().map(step).collect::<Vec<_>>().join(", ")
    }

    fn waves_of(template: &Template) -> Vec<u32> {
        waves(&waits(template))
    }

    #[test]
    fn a_new_step_takes_the_place_one_expects() {
        let mut chain = graph(&[("A", &[]), ("B", &["A"])]);
        assert_eq!(add_after(&mut chain, 0), Some(1));
        assert_eq!(said(&chain), "A, New step(A), B(New step)");
        let mut fork = graph(&[("A", &[]), ("B", &["A"]), ("C", &["A"])]);
        add_after(&mut fork, 0);
        assert_eq!(said(&fork), "A, New step(A), B(A), C(A)");
        add_between(&mut fork, 0, 3);
        assert_eq!(said(&fork), "A, New step 2(A), New step(A), B(A), C(New step 2)");
    }

    #[test]
    fn in_a_row_it_stands_behind_all_that_run_together() {
        let mut row = row(&["A", "B", "C", "D"]);
        assert!(group(&mut row, &BTreeSet::from([1, 2])));
        assert_eq!(waves_of(&row), [0, 1, 1, 2]);
        assert_eq!(add_after(&mut row, 1), Some(3));
        assert_eq!(waves_of(&row), [0, 1, 1, 2, 3]);
        assert_eq!(add_beside(&mut row, 1), Some(2));
        assert_eq!(waves_of(&row), [0, 1, 1, 1, 2, 3]);
        add_beside(&mut row, 0);
        assert_eq!(waves_of(&row)[..3], [0, 0, 1]);
        assert!(ungroup(&mut row, 2));
        assert!(!ungroup(&mut row, 2));
    }

    #[test]
    fn groups_are_of_neighbours() {
        let mut row = row(&["A", "B", "C", "D"]);
        assert!(group(&mut row, &BTreeSet::from([0, 3])));
        assert_eq!(said(&row), "A, D, B, C");
        assert_eq!(waves_of(&row), [0, 0, 1, 2]);
        let mut chain = graph(&[("A", &[]), ("B", &["A"]), ("C", &["B"])]);
        assert!(!group(&mut chain, &BTreeSet::from([0, 2])));
        assert!(group(&mut chain, &BTreeSet::from([1, 2])));
        assert_eq!(said(&chain), "A, B(A), C(A)");
    }

    #[test]
    fn lines_are_drawn_and_taken_and_close_no_circle() {
        let mut row = row(&["A", "B", "C"]);
        assert_eq!(connect(&mut row, 0, 2), Some(Line::Drawn));
        assert_eq!(said(&row), "A, B(A), C(B A)");
        assert_eq!(connect(&mut row, 1, 2), Some(Line::Taken));
        assert_eq!(said(&row), "A, B(A), C(A)");
        assert_eq!(connect(&mut row, 2, 0), Some(Line::Circle));
        assert_eq!(connect(&mut row, 2, 2), Some(Line::Circle));
    }

    #[test]
    fn copies_of_several_speak_of_each_other() {
        let mut chain = graph(&[("A", &[]), ("B", &["A"]), ("C", &["B"]), ("D", &["C"])]);
        chain.steps[2].prompt = Some("{{ context['B'] }} after {{ context['A'] }}".into());
        assert_eq!(duplicate_all(&mut chain, &BTreeSet::from([1, 2])), BTreeSet::from([3, 4]));
        assert_eq!(said(&chain), "A, B(A), C(B), B copy(A), C copy(B copy), D(C)");
        assert_eq!(
            chain.steps[4].prompt.as_deref(),
            Some("{{ context['B copy'] }} after {{ context['A'] }}")
        );
        let mut row = row(&["A", "B", "C"]);
        assert!(group(&mut row, &BTreeSet::from([0, 1])));
        duplicate_all(&mut row, &BTreeSet::from([0, 1]));
        assert_eq!(waves_of(&row), [0, 0, 1, 1, 2]);
    }
}
