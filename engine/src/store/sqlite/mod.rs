//! What only SQLite can do: its file and connections, the single writer, statements that store many rows at once, reads
//! that take JSON apart, and full-text search. The statements of the other modules of the store are written so that
//! PostgreSQL takes them, too; the test in [`portable`] refuses others.

pub(super) mod beginnings;
mod connections;
pub(super) mod files_on_path;
pub(super) mod json;
pub(super) mod log_rows;
#[cfg(test)]
mod plans;
#[cfg(test)]
mod portable;
#[cfg(test)]
mod power_loss;
pub(crate) mod search;
pub(super) mod search_index;
pub(super) mod statement;
#[cfg(test)]
mod upgrade;
pub(super) mod writer;

pub(crate) use connections::{data_version, is_behind, is_passing, why_no_write};
pub(super) use connections::{open, options};
