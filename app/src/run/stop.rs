//! The Stop button: a form, so that it works without script.

use super::server::StopRun;
use crate::{
    live::LiveRun,
    project::use_may_edit,
    ui::{Button, ButtonKind, ButtonSize, Glyph},
};
use domain::key::ProjectKey;
use leptos::{form::ActionForm, prelude::*};

/// Hidden from viewers.
#[component]
pub fn Stop(project: ProjectKey, run: LiveRun) -> impl IntoView {
    if !use_may_edit() {
        return ().into_any();
    }
    let stop = ServerAction::<StopRun>::new();
    let live = run.is_live();
    let project = StoredValue::new(project.to_string());
    let asked = move || stop.pending().get() || matches!(stop.value().get(), Some(Ok(())));
    let refused = move || match stop.value().get() {
        Some(Err(fault)) if live.get() => Some(fault.to_string()),
        _ => None,
    };
    view! {
        <Show when=move || live.get()>
            <ActionForm action=stop attr:class="run-stop">
                <input type="hidden" name="project" value=project.get_value()/>
                <input type="hidden" name="run" value=run.number.to_string()/>
                <Button
                    kind=ButtonKind::Submit
                    size=ButtonSize::Small
                    glyph=Glyph::Stop
                    busy=Signal::derive(asked)
                >
                    {move || if asked() { "Stopping" } else { "Stop" }}
                </Button>
            </ActionForm>
        </Show>
        {move || refused().map(|text| view! { <span class="run-stop-refused" role="alert">{text}</span> })}
    }
    .into_any()
}
