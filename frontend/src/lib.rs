//! Hydrates the server-rendered page in the browser.
// The types of views nest as deeply as the pages.
#![recursion_limit = "512"]

use app::chunks::{NotFetchedNotice, fetch_ahead, fetch_page_at};
use leptos::{mount, prelude::*};

/// The mark from which on the page is interactive. It appears in the browser's timeline.
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
        // Harmless in a browser without performance marks.
        _ = performance.mark(AWAKE);
    }
}
