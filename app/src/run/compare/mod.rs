//! Comparisons of runs: a column per run, a row per step, the differences, and the verdicts.

mod columns;
#[cfg(feature = "ssr")]
mod difference;
mod list;
mod page;
mod scores;
mod server;
mod step;
mod verdict;

pub use page::ComparePage;

use domain::{id::RunNumber, key::ProjectKey};

/// The address of the comparison of these runs, in this order.
pub fn compare_href(project: &ProjectKey, runs: &[RunNumber]) -> String {
    let runs: Vec<_> = runs.iter().map(|run| format!("run={run}")).collect();
    format!("/p/{project}/compare?{}", runs.join("&"))
}

/// The letter of a column, or of a launch's assignment.
pub fn letter(column: usize) -> char {
    char::from(b'A' + u8::try_from(column % 26).unwrap_or_default())
}
