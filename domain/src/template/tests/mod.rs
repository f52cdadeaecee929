//! Table tests and property tests of documents.

mod documents;
mod flow;
mod hints;
mod hostile;
mod random;
mod revise;

use super::{Checked, Format, check};

/// A document with the usual header and these steps.
fn with_steps(steps: &str) -> String {
    format!("apiVersion: troupe/v1\nkey: demo\nname: Demo\nsteps:\n{steps}")
}

fn yaml(source: &str) -> Checked {
    check(source, Format::Yaml)
}

fn shown(checked: &Checked) -> String {
    let lines: Vec<String> = checked
        .problems
        .iter()
        .map(|problem| match problem.column {
            Some(column) => format!("{column:>3} | {problem}"),
            None => format!("    | {problem}"),
        })
        .collect();
    lines.join("\n")
}
