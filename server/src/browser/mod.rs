//! What pages need besides documents and server functions: streams and long texts.

pub mod content;
mod live;
mod trial;

use crate::router::Route;

const LIVE: &str = "/p/{project}/live";
const TRIAL: &str = "/p/{project}/roles/try";
const CONTENT: &str = "/p/{project}/runs/{run}/content/{content}";

pub fn routes() -> Vec<Route> {
    vec![
        Route::get(LIVE, live::live),
        Route::post(TRIAL, trial::trial),
        Route::get(CONTENT, content::content),
    ]
}

/// Whether a route's pattern is one of these: a stranger who asks for it is a script, and is not redirected.
pub fn is_data(pattern: &str) -> bool {
    [LIVE, TRIAL, CONTENT].contains(&pattern)
}
