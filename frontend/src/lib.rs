//! Brings the server's page to life in the browser.
// The types of views nest as deep as the pages do.
#![recursion_limit = "512"]

use app::chunks::{NotFetchedNotice, fetch_ahead, fetch_page_at};
use leptos::{mount, prelude::*};

/// From here on the page answers to more than links and forms. It shows in the browser's timeline, beside what it waited
/// for.
const AWAKE: &str = "troupe-awake";

#[wasm_bindgen::prelude::wasm_bindgen]
pub async fn hydrate() {
    console_error_panic_hook::set_once();
    let path = window().location().pathname().unwrap_or_default();
    if fetch_page_at(&path).await.is_ok() {
        mount::hydrate_body(app::App);
        fetch_ahead();
        tell_awake();
    } else {
        mount::mount_to_body(|| view! { <div class="stranded"><NotFetchedNotice/></div> });
    }
}

fn tell_awake() {
    if let Some(performance) = window().performance() {
        // A browser that keeps no marks loses nothing.
        _ = performance.mark(AWAKE);
    }
}
