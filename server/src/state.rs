//! The state that all routes share.

use crate::guard::Functions;
use axum::extract::FromRef;
use engine::Engine;
use leptos::config::LeptosOptions;
use tokio_util::sync::CancellationToken;

#[derive(Clone, FromRef)]
pub struct AppState {
    pub engine: Engine,
    pub options: LeptosOptions,
    /// Cancelled when the server stops, which ends the streams.
    pub stopping: CancellationToken,
    pub functions: Functions,
    /// Whether `/gallery` is served.
    pub gallery: bool,
}
