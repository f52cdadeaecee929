//! The steps of a child run, inside the row of the step that launched it: expanded while it is live, otherwise loaded
//! when opened.

use super::{
    server::{RunPage, open_run},
    steps::Steps,
};
use crate::{
    form::FaultNotice,
    live::use_live,
    load::ask_in_browser,
    ui::{Skeleton, SkeletonShape},
};
use domain::{
    id::RunNumber,
    key::ProjectKey,
    run::{Attempt, StepState, StepStatus},
};
use leptos::{ev, prelude::*};

/// Maximum number of steps listed here; the child run's own page lists all.
const STEPS: usize = 50;

/// The newest child run of the step; renders nothing for a step without one.
#[component]
pub fn Nested(project: ProjectKey, step: Memo<StepState>) -> impl IntoView {
    let child = Memo::new(move |_| step.read().attempts.last().and_then(Attempt::child));
    let under_way =
        Memo::new(move |_| matches!(step.read().status, StepStatus::Running | StepStatus::Waiting));
    move || child.get().map(|child| view! { <Unfolding project=project.clone() child under_way/> })
}

/// A link to the child run of an attempt.
#[component]
pub fn ChildRun(project: ProjectKey, child: RunNumber) -> impl IntoView {
    view! { <a class="link run-child" href=format!("/p/{project}/runs/{child}")>"run " {child.0}</a> }
}

#[component]
fn Unfolding(project: ProjectKey, child: RunNumber, under_way: Memo<bool>) -> impl IntoView {
    // Initially expanded while the child run is live, and collapsed once it has ended.
    let open = RwSignal::new(under_way.get_untracked());
    let asked = Memo::new(move |asked: Option<&bool>| asked == Some(&true) || open.get());
    let toggled = move |event: ev::Event| {
        open.set(event_target::<web_sys::Element>(&event).has_attribute("open"));
    };
    view! {
        <div class="run-nested">
            <ChildRun project=project.clone() child/>
            <details open=move || open.get() on:toggle=toggled>
                <summary>"Its steps"</summary>
                {move || asked.get().then(|| view! { <ChildSteps project=project.clone() child/> })}
            </details>
        </div>
    }
    .into_any()
}

#[component]
fn ChildSteps(project: ProjectKey, child: RunNumber) -> impl IntoView {
    let key = StoredValue::new(project);
    let read = ask_in_browser(move || open_run(key.get_value(), child));
    move || match read.get() {
        None => view! { <Skeleton shape=SkeletonShape::Rows count=2/> }.into_any(),
        Some(Ok(page)) => view! { <Followed project=key.get_value() page/> }.into_any(),
        Some(Err(fault)) => view! { <FaultNotice fault=Signal::stored(Some(fault))/> }.into_any(),
    }
}

#[component]
fn Followed(project: ProjectKey, page: RunPage) -> impl IntoView {
    let run = use_live().follow(&project, page.detail, page.now);
    view! { <Steps project run limit=STEPS text_elsewhere=false/> }
}
