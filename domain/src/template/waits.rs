//! The dependencies of steps as a document declares them, without validation: for drawing a document that may be
//! invalid, and as the rule that `template::flow` checks.

use std::collections::HashMap;

use super::document::{Step, StepType, Template};

/// For each step, by index, the indexes of the steps it depends on, ascending. Unknown names and dependencies that
/// would close a cycle are dropped: the result is always a graph that can be drawn.
pub fn waits(template: &Template) -> Vec<Vec<u32>> {
    if !template.steps.iter().any(|step| step.depends_on.is_some()) {
        return by_order(&template.steps);
    }
    let mut positions = HashMap::with_capacity(template.steps.len());
    for (index, step) in (0u32..).zip(&template.steps) {
        positions.entry(step.name.as_str()).or_insert(index);
    }
    let named = |step: &Step| {
        let names = step.depends_on.iter().flatten();
        let mut found: Vec<u32> = names.filter_map(|name| positions.get(name.as_str()).copied()).collect();
        found.sort_unstable();
        found.dedup();
        found
    };
    let mut waits: Vec<_> = template.steps.iter().map(named).collect();
    open_circles(&mut waits);
    waits
}

/// The depth of each step: 0 without dependencies, else one more than the deepest dependency. `waits` must be acyclic.
pub fn waves(waits: &[Vec<u32>]) -> Vec<u32> {
    let mut wave: Vec<Option<u32>> = vec![None; waits.len()];
    let mut open = Vec::new();
    for first in 0..waits.len() {
        open.push(first);
        while let Some(&step) = open.last() {
            let unknown =
                waits[step].iter().map(|&before| before as usize).find(|&before| wave[before].is_none());
            match unknown {
                Some(before) if wave[step].is_none() => open.push(before),
                _ => {
                    let deepest = waits[step].iter().filter_map(|&before| wave[before as usize]).max();
                    wave[step] = Some(deepest.map_or(0, |deepest| deepest + 1));
                    open.pop();
                }
            }
        }
    }
    wave.into_iter().map(Option::unwrap_or_default).collect()
}

/// The steps that have run before `step` starts, ascending.
pub fn upstream(waits: &[Vec<u32>], step: u32) -> Vec<u32> {
    let mut seen = vec![false; waits.len()];
    let mut open = vec![step];
    while let Some(step) = open.pop() {
        for &before in waits.get(step as usize).into_iter().flatten() {
            if !std::mem::replace(&mut seen[before as usize], true) {
                open.push(before);
            }
        }
    }
    (0u32..).zip(seen).filter(|(_, seen)| *seen).map(|(index, _)| index).collect()
}

/// Drops each dependency that leads back to a step whose own dependencies are being followed.
fn open_circles(waits: &mut [Vec<u32>]) {
    #[derive(Clone, Copy, PartialEq)]
    enum Seen {
        No,
        Open,
        Done,
    }
    let mut seen = vec![Seen::No; waits.len()];
    for first in 0..waits.len() {
        if seen[first] != Seen::No {
            continue;
        }
        // A step, and how many of its dependencies have been followed.
        let mut walk = vec![(first, 0)];
        seen[first] = Seen::Open;
        while let Some((step, next)) = walk.last_mut() {
            let step = *step;
            let Some(&before) = waits[step].get(*next) else {
                seen[step] = Seen::Done;
                walk.pop();
                continue;
            };
            match seen[before as usize] {
                Seen::Open => drop(waits[step].remove(*next)),
                Seen::Done => *next += 1,
                Seen::No => {
                    *next += 1;
                    seen[before as usize] = Seen::Open;
                    walk.push((before as usize, 0));
                }
            }
        }
    }
}

/// The dependencies of steps without `dependsOn`: steps run by `order` (their position if absent); consecutive steps
/// of one `parallelGroup`, or parallel ones of equal order, run together; the next step waits for all before it.
pub(crate) fn by_order(steps: &[Step]) -> Vec<Vec<u32>> {
    let order_of = |index: u32| steps[index as usize].order.unwrap_or(i64::from(index) + 1);
    let mut line: Vec<u32> = (0u32..).zip(steps).map(|(index, _)| index).collect();
    line.sort_by_key(|&index| order_of(index)); // stable: ties stay in document order
    let together = |a: u32, b: u32| {
        let (first, second) = (&steps[a as usize], &steps[b as usize]);
        match (&first.parallel_group, &second.parallel_group) {
            (Some(one), Some(other)) => one == other,
            (None, None) => {
                let parallel = |step: &Step| step.step_type == Some(StepType::Parallel);
                parallel(first) && parallel(second) && order_of(a) == order_of(b)
            }
            _ => false,
        }
    };
    let mut depends_on = vec![Vec::new(); steps.len()];
    let mut before: &[u32] = &[];
    for group in line.chunk_by(|&a, &b| together(a, b)) {
        // The previous group waits for all groups before it, so depending on it is sufficient.
        for &index in group {
            depends_on[index as usize] = before.to_vec();
            depends_on[index as usize].sort_unstable();
        }
        before = group;
    }
    depends_on
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::TemplateKey;

    /// Name, `dependsOn`, `parallelGroup`.
    type Said<'s> = (&'s str, Option<&'s [&'s str]>, Option<&'s str>);

    fn template(steps: &[Said<'_>]) -> Template {
        let step = |(name, depends_on, group): &Said<'_>| Step {
            name: (*name).into(),
            depends_on: depends_on.map(|names| names.iter().map(ToString::to_string).collect()),
            parallel_group: group.map(str::to_owned),
            ..Step::default()
        };
        Template {
            api_version: super::super::API_VERSION.into(),
            key: TemplateKey::from_title("t"),
            name: "T".into(),
            description: None,
            input: None,
            output: None,
            steps: steps.iter().map(step).collect(),
        }
    }

    #[test]
    fn a_row_with_a_group() {
        let row =
            template(&[("A", None, None), ("B", None, Some("g")), ("C", None, Some("g")), ("D", None, None)]);
        let waits = waits(&row);
        assert_eq!(waits, [vec![], vec![0], vec![0], vec![1, 2]]);
        assert_eq!(waves(&waits), [0, 1, 1, 2]);
        assert_eq!(upstream(&waits, 3), [0, 1, 2]);
        assert_eq!(upstream(&waits, 0), [0u32; 0]);
    }

    #[test]
    fn what_is_wrong_is_left_out() {
        let circle = template(&[
            ("A", Some(&["C", "nobody"]), None),
            ("B", Some(&["A", "A"]), None),
            ("C", Some(&["B", "C"]), None),
        ]);
        let waits = waits(&circle);
        assert_eq!(waits, [vec![2], vec![], vec![1]]);
        assert_eq!(waves(&waits), [2, 0, 1]);
    }

    #[test]
    fn a_long_chain_is_no_recursion() {
        let mut chain = template(&[]);
        for index in 0..5_000 {
            let depends_on = Some(if index == 4_999 { vec![] } else { vec![format!("S{}", index + 1)] });
            chain.steps.push(Step { name: format!("S{index}"), depends_on, ..Step::default() });
        }
        assert_eq!(waves(&waits(&chain))[0], 4_999);
    }
}
