//! Server functions of the live connection, and the time at which pages are rendered.

use crate::fault::Fault;
use domain::key::ProjectKey;
use leptos::prelude::*;

/// The project's current change number. A tab whose stream was refused calls this to learn why.
#[server]
pub async fn pulse(project: ProjectKey) -> Result<u64, Fault> {
    let (engine, user) = crate::session::caller().await?;
    let credential = use_context::<axum::http::request::Parts>()
        .and_then(|parts| parts.extensions.get::<engine::CredentialId>().cloned());
    let change = engine.project_cursor(&user, &project).await?;
    if let Some(credential) = credential {
        // Only to learn whether there is a place: it is free again at once.
        drop(engine.take_seat(&user, &credential)?);
    }
    Ok(change)
}

/// The server's time. Pages carry it, so that the browser's first render equals the server's.
#[cfg(feature = "ssr")]
pub fn server_time() -> domain::id::Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    domain::id::Timestamp(since.map_or(0, |since| since.as_millis() as i64))
}
