//! The steps of a run against time: a row per step, a bar per attempt in the colour of its role. The items of a step
//! under forEach are rows beneath it.

use super::{
    nested::Nested,
    rows::{Rows, first_steps},
    status::whole_seconds,
    steps::is_under_way,
    words::{item_words, step_status},
};
use crate::{
    live::LiveRun,
    ui::{Button, ButtonSize, RoleChip, StatusBadge, format_duration, role_hue},
};
use domain::{
    id::{StepRunId, Timestamp},
    key::ProjectKey,
    run::{AttemptEnd, StepState, StepStatus},
};
use leptos::prelude::*;
use std::sync::Arc;

/// The width of a bar's own units; the drawing stretches to the room there is.
const WIDTH: u64 = 1000;
/// The least width at which a bar is seen.
const LEAST: u64 = 6;
/// How many items have a row before one asks for all of them.
const ITEMS: u32 = 50;

#[component]
pub fn Timeline(
    project: ProjectKey,
    run: LiveRun,
    #[prop(into)] chosen: Signal<Option<StepRunId>>,
) -> impl IntoView {
    let count = Memo::new(move |_| run.state.read().plan.steps.len());
    let ids = Memo::new(move |_| first_steps(count.get(), usize::MAX));
    let row = move |id| view! { <TimelineRow project=project.clone() run id chosen/> }.into_any();
    view! {
        <ol class="timeline" aria-label="Steps">
            <Rows ids row=Arc::new(row)/>
        </ol>
    }
}

#[component]
fn TimelineRow(
    project: ProjectKey,
    run: LiveRun,
    id: StepRunId,
    chosen: Signal<Option<StepRunId>>,
) -> impl IntoView {
    let for_each =
        run.state.with_untracked(|state| state.plan.steps.get(id.index()).is_some_and(|step| step.for_each));
    view! {
        <li class="timeline-row">
            <TimelineStep project=project.clone() run id chosen/>
            {for_each.then(|| view! { <Items project run step=id chosen/> })}
        </li>
    }
    .into_any()
}

/// The line of a step run: of a step, or of one of its items.
#[component]
fn TimelineStep(
    project: ProjectKey,
    run: LiveRun,
    id: StepRunId,
    chosen: Signal<Option<StepRunId>>,
) -> impl IntoView {
    let step = run.step(id);
    let status = Memo::new(move |_| step.with(step_status));
    let name = match id.item {
        None => run.state.read_untracked().name(id).to_owned(),
        Some(item) => format!("[{item}]"),
    };
    let about = Memo::new(move |_| {
        let step = step.read();
        let role = || step.role.as_ref().map(|role| (role.key.clone(), role.reason));
        if id.item.is_none() { (role(), None) } else { (None, said(&step)) }
    });
    let href = move || {
        if chosen.get() == Some(id) { "?tab=steps".to_owned() } else { format!("?tab=steps&step={id}") }
    };
    view! {
        <a
            class="timeline-link"
            href=href
            data-noscroll="true"
            aria-current=move || (chosen.get() == Some(id)).then_some("true")
        >
            <span class="timeline-name"><StatusBadge status icon_only=true/><span>{name}</span></span>
            <span class="timeline-role">
                {move || {
                    let (role, said) = about.get();
                    (
                        role.map(|(key, reason)| {
                            view! { <RoleChip role=key.to_string() fallback=reason.is_fallback()/> }
                        }),
                        said,
                    )
                }}
            </span>
            <svg
                class="timeline-bars"
                viewBox=format!("0 0 {WIDTH} 12")
                preserveAspectRatio="none"
                aria-hidden="true"
            >
                {move || bars(run, &step.read())}
            </svg>
            <span class="timeline-time">{move || took(run, &step.read())}</span>
        </a>
        {(!run.past).then(|| view! { <Nested project step/> })}
    }
    .into_any()
}

/// How an item's output, or its failure, begins.
fn said(step: &StepState) -> Option<String> {
    match step.status {
        StepStatus::Failed => step.failure().map(|failure| failure.message.clone()),
        _ => step.output.as_ref().map(|output| output.head.clone()),
    }
}

/// The items of a step, some of them until one asks for all.
#[component]
fn Items(
    project: ProjectKey,
    run: LiveRun,
    step: StepRunId,
    chosen: Signal<Option<StepRunId>>,
) -> impl IntoView {
    let counts = run.items(step);
    let all = RwSignal::new(false);
    let total = Memo::new(move |_| counts.get().map(|counts| counts.total));
    let ids = Memo::new(move |_| {
        let total = total.get().unwrap_or_default();
        let shown = if all.get() { total } else { total.min(ITEMS) };
        (0..shown).map(|item| StepRunId { item: Some(item), ..step }).collect::<Vec<_>>()
    });
    let rest = Memo::new(move |_| total.get().filter(|total| !all.get() && *total > ITEMS));
    let label = run.state.with_untracked(|state| format!("Items of {}", state.name(step)));
    let row = Arc::new(move |id| {
        view! { <li><TimelineStep project=project.clone() run id chosen/></li> }.into_any()
    });
    move || {
        total.get().map(|_| {
            view! {
                <details class="timeline-items" open=true>
                    <summary>{move || counts.get().map(item_words)}</summary>
                    <ol aria-label=label.clone()><Rows ids row=row.clone()/></ol>
                    {move || {
                        rest.get()
                            .map(|total| {
                                view! {
                                    <Button size=ButtonSize::Small on_click=move || all.set(true)>
                                        {format!("Show all {total}")}
                                    </Button>
                                }
                            })
                    }}
                </details>
            }
        })
    }
}

/// The run's begin, and its end so far.
fn span(run: LiveRun) -> (Timestamp, u64) {
    (run.state.read().acknowledged_at, run.elapsed.get().max(1))
}

fn bars(run: LiveRun, step: &StepState) -> impl IntoView + use<> {
    let (from, whole) = span(run);
    let hue = step.role.as_ref().map(|role| role_hue(role.key.as_str())).unwrap_or_default();
    let bar = |kind: &str, begin: Timestamp, end: Option<Timestamp>| {
        let begin = begin.since(from).min(whole);
        let end = end.map_or(whole, |at| at.since(from)).clamp(begin, whole);
        let width = ((end - begin) * WIDTH / whole).max(LEAST);
        let x = (begin * WIDTH / whole).min(WIDTH - LEAST);
        let class = format!("bar {kind} {hue}");
        view! { <rect class=class x=x y="1" width=width.min(WIDTH - x) height="10" rx="2"></rect> }
    };
    // A step that waits for a person, or for its items, has no attempts of its own.
    let whole_step = step.started_at().filter(|_| step.attempts.is_empty()).map(|begin| {
        let kind = match (step.status, &step.question) {
            (StepStatus::Failed, _) => "bar-failed",
            (_, Some(_)) => "bar-asked",
            _ => "bar-done",
        };
        bar(kind, begin, step.finished_at())
    });
    let attempts = step.attempts.iter().map(|attempt| {
        let kind = match attempt.end {
            None => "bar-open",
            Some(AttemptEnd::Finished) => "bar-done",
            Some(_) => "bar-failed",
        };
        bar(kind, attempt.started_at, attempt.finished_at)
    });
    whole_step.into_iter().chain(attempts).collect_view()
}

fn took(run: LiveRun, step: &StepState) -> Option<String> {
    if step.reused {
        return Some("reused".to_owned());
    }
    let from = step.started_at()?;
    if let Some(to) = step.finished_at() {
        return Some(format_duration(to.since(from)));
    }
    is_under_way(step).then_some(())?;
    let (begin, whole) = span(run);
    Some(whole_seconds(whole.saturating_sub(from.since(begin))))
}
