//! Copies a run's output. The whole text is loaded when the button is pressed.

use super::server::read_text;
use crate::{
    live::LiveRun,
    ui::{Button, ButtonSize, ButtonVariant, Glyph, write_clipboard},
};
use domain::key::ProjectKey;
use leptos::{prelude::*, task::spawn_local};
use std::time::Duration;

#[component]
pub fn CopyOutput(project: ProjectKey, run: LiveRun) -> impl IntoView {
    let output = Memo::new(move |_| run.state.read().output.as_ref().map(|output| output.text.clone()));
    let said = RwSignal::new(None::<&'static str>);
    let project = StoredValue::new(project);
    let copy = move || {
        let Some(text) = output.get_untracked() else { return };
        spawn_local(async move {
            let read = read_text(project.get_value(), run.number, text.id).await;
            let done = match read {
                Ok(content) => write_clipboard(content.text).await.is_ok(),
                Err(_) => false,
            };
            _ = said.try_set(Some(if done { "Copied" } else { "Not copied" }));
            set_timeout(move || _ = said.try_set(None), Duration::from_secs(2));
        });
    };
    view! {
        <Show when=move || output.read().is_some()>
            <Button variant=ButtonVariant::Ghost size=ButtonSize::Small glyph=Glyph::Copy on_click=copy>
                <span aria-live="polite">{move || said.get().unwrap_or("Copy")}</span>
            </Button>
        </Show>
    }
    .into_any()
}
