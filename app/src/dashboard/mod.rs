//! What a project is doing just now: its live runs, how busy providers are, and what became of the last hour's runs.

mod live_link;
mod page;
mod row;
mod server;

pub use live_link::LiveRuns;
pub use page::DashboardPage;
