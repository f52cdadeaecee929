//! Copies a run's output. The whole of it is read when it is asked for.

use super::server::read_text;
use crate::{live::LiveRun, ui::Icon};
use domain::key::ProjectKey;
use leptos::{prelude::*, task::spawn_local};
use std::time::Duration;

#[component]
pub fn CopyOutput(project: ProjectKey, run: LiveRun) -> impl IntoView {
    let output = Memo::new(move |_| run.state.read().output.as_ref().map(|output| output.text.clone()));
    let said = RwSignal::new(None::<&'static str>);
    let project = StoredValue::new(project);
    let copy = move |_| {
        let Some(text) = output.get_untracked() else { return };
        spawn_local(async move {
            let read = read_text(project.get_value(), run.number, text.id).await;
            let done = match read {
                Ok(content) => write_to_clipboard(&content.text).await,
                Err(_) => false,
            };
            _ = said.try_set(Some(if done { "Copied" } else { "Not copied" }));
            set_timeout(move || _ = said.try_set(None), Duration::from_secs(2));
        });
    };
    view! {
        <Show when=move || output.read().is_some()>
            <button type="button" class="button button-small button-quiet" on:click=copy>
                <Icon name="copy"/>
                <span aria-live="polite">{move || said.get().unwrap_or("Copy")}</span>
            </button>
        </Show>
    }
}

/// False when the browser does not let a page write there, as on a plain http address.
pub async fn write_to_clipboard(text: &str) -> bool {
    let navigator = window().navigator();
    let clipboard = js_sys::Reflect::get(navigator.as_ref(), &"clipboard".into());
    if clipboard.is_ok_and(|clipboard| clipboard.is_undefined()) {
        return false;
    }
    wasm_bindgen_futures::JsFuture::from(navigator.clipboard().write_text(text)).await.is_ok()
}
