//! The steps of a run that a step called, within the caller's own row: live while it is, read when one opens it.

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
    run::{StepState, StepStatus},
};
use leptos::{ev, prelude::*};

/// How many of its steps are listed here; its own page lists them all.
const STEPS: usize = 50;

/// The newest run that the step called; nothing for a step that calls none.
#[component]
pub fn Nested(project: ProjectKey, step: Memo<StepState>) -> impl IntoView {
    let child = Memo::new(move |_| step.read().attempts.last().and_then(|attempt| attempt.child));
    let under_way = Memo::new(move |_| step.read().status == StepStatus::Running);
    move || child.get().map(|child| view! { <Unfolding project=project.clone() child under_way/> })
}

/// The run that an attempt is.
#[component]
pub fn ChildRun(project: ProjectKey, child: RunNumber) -> impl IntoView {
    view! { <a class="link run-child" href=format!("/p/{project}/runs/{child}")>"run " {child.0}</a> }
}

#[component]
fn Unfolding(project: ProjectKey, child: RunNumber, under_way: Memo<bool>) -> impl IntoView {
    // What works now is seen without a click, and what has ended is out of the way.
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
