//! Runs: their list, the page of one, and the status shown wherever a run appears.

mod compare;
mod copy;
#[cfg(feature = "ssr")]
mod drawn;
mod events;
mod failure;
mod files;
mod follow;
mod graph;
mod inputs;
mod list;
mod log;
mod nested;
mod newest;
mod page;
mod panel;
mod question;
#[cfg(feature = "ssr")]
mod report;
mod rerun;
mod rows;
mod scale;
mod server;
mod status;
mod steps;
mod stop;
mod text;
mod timeline;
mod travel;
mod words;

pub use compare::{ComparePage, compare_href, letter};
pub use files::file_href;
pub use list::RunsPage;
pub use page::RunPage;
pub use question::Questions;
pub use rerun::Rerun;
pub use status::Status;
pub use text::read_whole;
#[cfg(test)]
pub use words::{run_status, step_status};

/// The key of the built-in template that free text runs. It is not a template of the project, so it is never linked.
pub const ASK: &str = "ask";
