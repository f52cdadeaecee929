//! The inbox of the signed-in user: open questions of runs, and their own failed runs.

mod page;
mod row;
mod server;

pub use page::InboxPage;
