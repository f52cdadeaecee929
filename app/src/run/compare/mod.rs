//! Runs side by side: a column per run, a row per step, what differs, and what people think of it.

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

/// Where these runs stand side by side, in this order.
pub fn compare_href(project: &ProjectKey, runs: &[RunNumber]) -> String {
    let runs: Vec<_> = runs.iter().map(|run| format!("run={run}")).collect();
    format!("/p/{project}/compare?{}", runs.join("&"))
}

/// How a column, or a variant of a launch, is called.
pub fn letter(column: usize) -> char {
    char::from(b'A' + u8::try_from(column % 26).unwrap_or_default())
}
