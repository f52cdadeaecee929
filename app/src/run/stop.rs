//! Stop: a form, so that it works before the script is there.

use super::server::StopRun;
use crate::ui::Icon;
use domain::key::ProjectKey;
use leptos::{form::ActionForm, prelude::*};
use crate::live::LiveRun;

#[component]
pub fn Stop(project: ProjectKey, run: LiveRun) -> impl IntoView {
    let stop = ServerAction::<StopRun>::new();
    let live = run.is_live();
    let asked = move || stop.pending().get() || matches!(stop.value().get(), Some(Ok(())));
    let refused = move || match stop.value().get() {
        Some(Err(fault)) if live.get() => Some(fault.to_string()),
        _ => None,
    };
    view! {
        <Show when=move || live.get()>
            <ActionForm action=stop attr:class="stop">
                <input type="hidden" name="project" value=project.to_string()/>
                <input type="hidden" name="run" value=run.number.to_string()/>
                <button class="button button-small button-danger" disabled=asked>
                    <Icon name="stop"/>
                    {move || if asked() { "Stopping" } else { "Stop" }}
                </button>
            </ActionForm>
        </Show>
        {move || refused().map(|text| view! { <span class="stop-refused" role="alert">{text}</span> })}
    }
}
