//! A row for each of some step runs. Rows that stay keep what is open, typed or scrolled in them.

use domain::id::StepRunId;
use leptos::prelude::*;
use std::sync::Arc;

type Row = Arc<dyn Fn(StepRunId) -> AnyView + Send + Sync>;

/// One list for all that shows step runs: the code of a keyed list is large, and the browser would have one for each.
#[component]
pub fn Rows(#[prop(into)] ids: Signal<Vec<StepRunId>>, row: Row) -> impl IntoView {
    view! { <For each=move || ids.get() key=|id| *id children=move |id| row(id)/> }
}

/// The first `most` steps of a plan.
pub fn first_steps(count: usize, most: usize) -> Vec<StepRunId> {
    (0..count.min(most)).map(StepRunId::of).collect()
}
