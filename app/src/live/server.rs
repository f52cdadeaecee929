//! What the live connection asks beside its stream, and the time that pages are drawn at.

use crate::fault::Fault;
use domain::key::ProjectKey;
use leptos::prelude::*;

/// Where the project's changes stand. A tab whose stream was refused asks it to learn why.
#[server]
pub async fn pulse(project: ProjectKey) -> Result<u64, Fault> {
    let (engine, user) = crate::session::caller().await?;
    Ok(engine.project_cursor(&user, &project).await?)
}

/// The server's time. Pages carry it, so that the first drawing in the browser equals the server's.
#[cfg(feature = "ssr")]
pub fn server_time() -> domain::id::Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    domain::id::Timestamp(since.map_or(0, |since| since.as_millis() as i64))
}
