//! Server functions of the inbox.

use crate::fault::Fault;
#[cfg(feature = "ssr")]
use domain::access::Permission;
use domain::{
    id::{RunNumber, Timestamp},
    key::ProjectKey,
    view::{InboxItem, RunDetail},
};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

/// The data of a rendered part of the inbox.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InboxPart {
    pub entries: Vec<Entry>,
    pub next: Option<String>,
    /// Whether the user may answer and rerun.
    pub may_edit: bool,
    pub changes: u64,
    pub now: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    pub item: InboxItem,
    pub detail: RunDetail,
}

#[server]
pub async fn open_inbox(project: ProjectKey, cursor: Option<String>) -> Result<InboxPart, Fault> {
    let (engine, user) = crate::session::caller().await?;
    let changes = engine.project_cursor(&user, &project).await?;
    let may_edit = engine.project(&user, &project).await?.permission >= Permission::Editor;
    let page = engine.inbox(&user, &project, cursor.as_deref()).await?;
    let mut entries = Vec::with_capacity(page.items.len());
    for item in page.items {
        let detail = engine.run(&user, &project, item.run.number).await?;
        entries.push(Entry { item, detail });
    }
    Ok(InboxPart { entries, next: page.next, may_edit, changes, now: crate::live::server_time() })
}

/// Removes one of the user's own failed runs from their inbox.
#[server]
pub async fn dismiss_failure(project: ProjectKey, run: RunNumber) -> Result<RunNumber, Fault> {
    let (engine, user) = crate::session::caller().await?;
    engine.dismiss_failure(&user, &project, run).await?;
    Ok(run)
}

#[server]
pub async fn restore_failure(project: ProjectKey, run: RunNumber) -> Result<(), Fault> {
    let (engine, user) = crate::session::caller().await?;
    Ok(engine.restore_failure(&user, &project, run).await?)
}
