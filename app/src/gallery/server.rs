//! What the gallery asks of the server.

use crate::fault::Result;
use leptos::prelude::*;

/// Whether this server was started with `--gallery`; in the context of every page and server function.
#[cfg(feature = "ssr")]
#[derive(Clone, Copy, Debug)]
pub struct ShowGallery(pub bool);

#[server]
pub async fn gallery_is_shown() -> Result<bool> {
    crate::session::caller().await?;
    Ok(use_context::<ShowGallery>().is_some_and(|ShowGallery(shown)| shown))
}
