//! The flow of a template as a dependency graph.
//!
//! If any step has `dependsOn`, even an empty one, the document defines the graph. Otherwise steps run by `order`
//! (their position if absent): consecutive steps of one `parallelGroup`, or parallel ones of equal order, run
//! together, and the next step waits for all before it.

use std::collections::HashMap;

use super::document::Template;
use super::place::{Path, Problems};
use super::waits::by_order;
use crate::problem::shorten;

/// Maximum number of edges. Two adjacent groups of 500 steps have 250,000.
pub const MAX_EDGES: usize = 250_000;

/// Names that `context` defines itself.
pub(crate) const RESERVED_NAMES: [&str; 2] = ["input", "conversation"];

/// The graph of a template's steps; `depends_on` and `wave` are indexed by step.
#[derive(Debug)]
pub(crate) struct Flow {
    /// Ascending, without repetition.
    pub depends_on: Vec<Vec<u32>>,
    pub wave: Vec<u32>,
    /// A topological order: every step comes after those it depends on.
    pub order: Vec<u32>,
}

/// The flow, if it is valid.
pub(crate) fn flow(template: &Template, problems: &mut Problems<'_>) -> Option<Flow> {
    let root = Path::Root;
    let steps = root.key("steps");
    let positions = positions(template, &steps, problems);
    let depends_on = if template.steps.iter().any(|step| step.depends_on.is_some()) {
        by_names(template, &positions, &steps, problems)?
    } else {
        by_order(&template.steps)
    };
    let edges: usize = depends_on.iter().map(Vec::len).sum();
    if edges > MAX_EDGES {
        let message = format!(
            "{edges} dependencies between steps are too many: at most {MAX_EDGES}; make groups smaller"
        );
        problems.add(&steps, message);
        return None;
    }
    match sort(&depends_on) {
        Ok(order) => {
            let mut wave = vec![0u32; depends_on.len()];
            for &index in &order {
                let deepest =
                    depends_on[index as usize].iter().map(|&before| wave[before as usize] + 1).max();
                wave[index as usize] = deepest.unwrap_or(0);
            }
            Some(Flow { depends_on, wave, order })
        }
        Err(cycle) => {
            let name = |index: &u32| format!("'{}'", shorten(&template.steps[*index as usize].name, 80));
            let first = cycle.first().copied().unwrap_or_default() as usize;
            let message = match cycle.as_slice() {
                [one] => format!("{} depends on itself", name(one)),
                _ => {
                    let shown: Vec<_> = cycle.iter().take(12).chain(cycle.first()).map(name).collect();
                    format!("these steps wait for each other: {}", shown.join(" -> "))
                }
            };
            problems.add(&steps.index(first).key("dependsOn"), message);
            None
        }
    }
}

/// The index of each name; repeated and reserved names are reported.
fn positions<'t>(
    template: &'t Template,
    steps: &Path<'_>,
    problems: &mut Problems<'_>,
) -> HashMap<&'t str, u32> {
    let mut positions = HashMap::with_capacity(template.steps.len());
    for (index, step) in (0u32..).zip(&template.steps) {
        let path = steps.index(index as usize);
        if RESERVED_NAMES.contains(&step.name.as_str()) {
            let message =
                format!("'{0}' is taken: context.{0} has its own meaning; choose another name", step.name);
            problems.add(&path.key("name"), message);
        }
        if let Some(&first) = positions.get(step.name.as_str()) {
            let message = format!(
                "step {} has the name '{}' already: each step needs its own",
                first + 1,
                shorten(&step.name, 80)
            );
            problems.add(&path.key("name"), message);
        } else {
            positions.insert(step.name.as_str(), index);
        }
    }
    positions
}

fn by_names(
    template: &Template,
    positions: &HashMap<&str, u32>,
    steps: &Path<'_>,
    problems: &mut Problems<'_>,
) -> Option<Vec<Vec<u32>>> {
    let mut complete = true;
    let mut depends_on = Vec::with_capacity(template.steps.len());
    for (index, step) in template.steps.iter().enumerate() {
        let step_path = steps.index(index);
        let path = step_path.key("dependsOn");
        let mut before = Vec::new();
        for (at, name) in step.depends_on.iter().flatten().enumerate() {
            match positions.get(name.as_str()) {
                Some(&position) => before.push(position),
                None => {
                    complete = false;
                    let near = problems.nearest(name, template.steps.iter().map(|step| step.name.as_str()));
                    problems.add(&path.index(at), no_step(name, near));
                }
            }
        }
        before.sort_unstable();
        before.dedup();
        depends_on.push(before);
    }
    complete.then_some(depends_on)
}

pub(crate) fn no_step(name: &str, near: Option<&str>) -> String {
    let shown = shorten(name, 80);
    match near {
        Some(near) => format!("there is no step '{shown}'; did you mean '{near}'?"),
        None => format!("there is no step '{shown}'"),
    }
}

/// A topological order of the steps, or one cycle.
fn sort(depends_on: &[Vec<u32>]) -> Result<Vec<u32>, Vec<u32>> {
    let mut missing: Vec<usize> = depends_on.iter().map(Vec::len).collect();
    let mut dependents = vec![Vec::new(); depends_on.len()];
    for (index, before) in (0u32..).zip(depends_on) {
        for &dependency in before {
            dependents[dependency as usize].push(index);
        }
    }
    let mut order: Vec<u32> =
        (0u32..).zip(&missing).filter(|(_, n)| **n == 0).map(|(index, _)| index).collect();
    let mut next = 0;
    while let Some(&index) = order.get(next) {
        next += 1;
        for &waiting in &dependents[index as usize] {
            missing[waiting as usize] -= 1;
            if missing[waiting as usize] == 0 {
                order.push(waiting);
            }
        }
    }
    let Some(stuck) = missing.iter().position(|&n| n > 0) else {
        return Ok(order);
    };
    // Every remaining step depends on another remaining one, so following them leads to a cycle.
    let mut walked = Vec::new();
    let mut seen = vec![None; depends_on.len()];
    let mut current = u32::try_from(stuck).unwrap_or_default();
    loop {
        if let Some(start) = seen[current as usize] {
            let mut cycle: Vec<u32> = walked.split_off(start);
            // Start with the step that comes first in the document.
            let least = cycle.iter().enumerate().min_by_key(|(_, index)| **index).map_or(0, |(at, _)| at);
            cycle.rotate_left(least);
            return Err(cycle);
        }
        seen[current as usize] = Some(walked.len());
        walked.push(current);
        match depends_on[current as usize].iter().find(|&&before| missing[before as usize] > 0) {
            Some(&before) => current = before,
            None => return Err(walked),
        }
    }
}
