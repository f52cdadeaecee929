//! Brings the server's page to life in the browser.
// The types of views nest as deep as the pages do.
#![recursion_limit = "512"]

use app::chunks::{NotFetchedNotice, fetch_ahead, fetch_page_at};
use leptos::{mount, prelude::*};

#[wasm_bindgen::prelude::wasm_bindgen]
pub async fn hydrate() {
    console_error_panic_hook::set_once();
    let path = window().location().pathname().unwrap_or_default();
    if fetch_page_at(&path).await.is_ok() {
        mount::hydrate_body(app::App);
        fetch_ahead();
    } else {
        mount::mount_to_body(|| view! { <div class="stranded"><NotFetchedNotice/></div> });
    }
}
