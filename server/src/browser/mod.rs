//! Routes that pages need in addition to documents and server functions: streams and long texts.

pub mod content;
mod live;
pub mod transcript;
mod trial;

use crate::router::Route;

const LIVE: &str = "/p/{project}/live";
const TRIAL: &str = "/p/{project}/roles/try";
const CONTENT: &str = "/p/{project}/runs/{run}/content/{content}";
const TRANSCRIPT: &str = "/p/{project}/conversations/{task}/export";

pub fn routes() -> Vec<Route> {
    vec![
        Route::get(LIVE, live::live),
        Route::post(TRIAL, trial::trial),
        Route::get(CONTENT, content::content),
        Route::get(TRANSCRIPT, transcript::transcript),
    ]
}

/// Whether a route is one of these. Only scripts request them, so an unauthenticated request is not redirected.
pub fn is_data(pattern: &str) -> bool {
    [LIVE, TRIAL, CONTENT, TRANSCRIPT].contains(&pattern)
}
