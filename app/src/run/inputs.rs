//! The input and the output of a run.

use super::text::{StoredText, TextKind};
use crate::live::LiveRun;
use domain::key::ProjectKey;
use leptos::prelude::*;

#[component]
pub fn Inputs(project: ProjectKey, run: LiveRun) -> impl IntoView {
    let input = Memo::new(move |_| run.state.read().input.clone());
    let output = Memo::new(move |_| run.state.read().output.as_ref().map(|output| output.text.clone()));
    let project = StoredValue::new(project);
    view! {
        <div class="run-io">
            <section aria-labelledby="run-input">
                <h2 id="run-input">"Input"</h2>
                {move || match input.get() {
                    Some(text) => {
                        view! {
                            <StoredText
                                project=project.get_value()
                                run=run.number
                                label="What the run was given"
                                text
                                kind=TextKind::Json
                                open=true
                            />
                        }
                            .into_any()
                    }
                    None => view! { <p class="muted">"The run has no input."</p> }.into_any(),
                }}
            </section>
            <section aria-labelledby="run-output">
                <h2 id="run-output">"Output"</h2>
                {move || match output.get() {
                    Some(text) => {
                        view! {
                            <StoredText
                                project=project.get_value()
                                run=run.number
                                label="What the run gave"
                                text
                                kind=TextKind::Json
                                open=true
                            />
                        }
                            .into_any()
                    }
                    None if run.is_live().get() => {
                        view! { <p class="muted">"The output appears when the run has completed."</p> }.into_any()
                    }
                    None => view! { <p class="muted">"The run ended without an output."</p> }.into_any(),
                }}
            </section>
        </div>
    }
    .into_any()
}
