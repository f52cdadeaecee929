//! The dashboard of a project: its live runs, the load of providers, and the outcomes of the last hour's runs.

mod live_link;
mod page;
mod row;
mod server;

pub use live_link::LiveRuns;
pub use page::DashboardPage;
