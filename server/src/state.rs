//! What all routes share.

use crate::guard::Functions;
use axum::extract::FromRef;
use engine::Engine;
use leptos::config::LeptosOptions;
use tokio_util::sync::CancellationToken;

#[derive(Clone, FromRef)]
pub struct AppState {
    pub engine: Engine,
    pub options: LeptosOptions,
    /// Cancelled when the server stops: streams end.
    pub stopping: CancellationToken,
    pub functions: Functions,
    /// Whether `/gallery` is there.
    pub gallery: bool,
}
