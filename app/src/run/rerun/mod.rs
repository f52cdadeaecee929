//! Rerun: running a part of a run again, from one of its steps on. The outputs of the other steps are reused. The result
//! is a run of its own (a fork).

mod choice;
mod dialog;
mod launch;
mod preview;
mod roles;

use crate::{
    live::LiveRun,
    ui::{Button, ButtonSize, ButtonVariant, Glyph},
};
use dialog::RerunDialog;
use domain::key::ProjectKey;
use leptos::prelude::*;

/// The button that opens the dialog, once the run has ended. `leave`: go to the page of the new run.
#[component]
pub fn Rerun(
    project: ProjectKey,
    run: LiveRun,
    leave: bool,
    /// Lets other components open the dialog.
    #[prop(default = RwSignal::new(false))]
    open: RwSignal<bool>,
) -> impl IntoView {
    let live = run.is_live();
    // The dialog is created when it first opens: a conversation has many runs.
    let wanted = Memo::new(move |wanted: Option<&bool>| wanted == Some(&true) || open.get());
    let project = StoredValue::new(project);
    let ask = move || open.set(true);
    view! {
        {move || {
            (!live.get())
                .then(|| {
                    view! {
                        <Button variant=ButtonVariant::Ghost size=ButtonSize::Small glyph=Glyph::Fork on_click=ask>
                            "Rerun…"
                        </Button>
                    }
                })
        }}
        {move || {
            wanted.get().then(|| view! { <RerunDialog project=project.get_value() run open leave/> })
        }}
    }
    .into_any()
}
