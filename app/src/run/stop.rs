//! Stop: a form, so that it works before the script is there.

use super::server::StopRun;
use crate::{
    live::LiveRun,
    ui::{Button, ButtonKind, ButtonSize, Glyph},
};
use domain::key::ProjectKey;
use leptos::{form::ActionForm, prelude::*};

#[component]
pub fn Stop(project: ProjectKey, run: LiveRun) -> impl IntoView {
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
