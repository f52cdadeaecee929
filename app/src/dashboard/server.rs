//! Server functions of the dashboard.

use crate::fault::Fault;
#[cfg(feature = "ssr")]
use domain::access::Permission;
use domain::{
    id::{RunNumber, Timestamp},
    key::ProjectKey,
    view::Dashboard,
};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

/// The data of the rendered dashboard.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Drawn {
    pub shown: Dashboard,
    /// Whether the user may stop runs.
    pub may_edit: bool,
    pub changes: u64,
    pub now: Timestamp,
}

#[server]
pub async fn open_dashboard(project: ProjectKey) -> Result<Drawn, Fault> {
    let (engine, user) = crate::session::caller().await?;
    let changes = engine.project_cursor(&user, &project).await?;
    let may_edit = engine.project(&user, &project).await?.permission >= Permission::Editor;
    let shown = engine.dashboard(&user, &project).await?;
    Ok(Drawn { shown, may_edit, changes, now: crate::live::server_time() })
}

/// Stops a run of the dashboard and returns its number.
#[server]
pub async fn stop_live_run(project: ProjectKey, run: RunNumber) -> Result<RunNumber, Fault> {
    let (engine, user) = crate::session::caller().await?;
    engine.cancel(&user, &project, run).await?;
    Ok(run)
}
