//! Server functions of the gallery.

use crate::fault::Result;
use leptos::prelude::*;

/// Whether this server was started with `--gallery`. Provided as context to every page and server function.
#[cfg(feature = "ssr")]
#[derive(Clone, Copy, Debug)]
pub struct ShowGallery(pub bool);

#[server]
pub async fn gallery_is_shown() -> Result<bool> {
    crate::session::caller().await?;
    Ok(use_context::<ShowGallery>().is_some_and(|ShowGallery(shown)| shown))
}
