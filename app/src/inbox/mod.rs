//! What waits for the one who looks: questions of runs, and their own runs that failed.

mod count;
mod page;
mod row;
mod server;

pub use count::InboxCount;
pub use page::InboxPage;
