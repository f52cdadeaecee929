//! What waits for the one who looks: questions of runs, and their own runs that failed.

mod page;
mod row;
mod server;

pub use page::InboxPage;
