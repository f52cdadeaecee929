//! The steps of a run against time: a row per step, a bar per attempt in the colour of its role.

use super::{status::whole_seconds, words::step_status};
use crate::{
    live::LiveRun,
    ui::{RoleChip, StatusBadge, format_duration, role_hue},
};
use domain::{
    id::{StepRunId, Timestamp},
    run::{AttemptEnd, StepState},
};
use leptos::prelude::*;

/// The width of a bar's own units; the drawing stretches to the room there is.
const WIDTH: u64 = 1000;
/// The least width at which a bar is seen.
const LEAST: u64 = 6;

#[component]
pub fn Timeline(run: LiveRun, #[prop(into)] chosen: Signal<Option<StepRunId>>) -> impl IntoView {
    let count = Memo::new(move |_| run.state.read().plan.steps.len());
    view! {
        <ol class="timeline" aria-label="Steps">
            <For each=move || 0..count.get() key=|index| *index let:index>
                <TimelineRow run id=StepRunId::of(index) chosen/>
            </For>
        </ol>
    }
}

#[component]
fn TimelineRow(run: LiveRun, id: StepRunId, chosen: Signal<Option<StepRunId>>) -> impl IntoView {
    let step = run.step(id);
    let name = run.state.read_untracked().name(id).to_owned();
    let status = Memo::new(move |_| step.with(step_status));
    let role = Memo::new(move |_| step.read().role.as_ref().map(|role| (role.key.clone(), role.reason)));
    let href = move || {
        if chosen.get() == Some(id) { "?tab=steps".to_owned() } else { format!("?tab=steps&step={id}") }
    };
    view! {
        <li class="timeline-row">
            <a
                class="timeline-link"
                href=href
                aria-current=move || (chosen.get() == Some(id)).then_some("true")
            >
                <span class="timeline-name"><StatusBadge status icon_only=true/><span>{name}</span></span>
                <span class="timeline-role">
                    {move || {
                        role.get()
                            .map(|(key, reason)| {
                                view! { <RoleChip role=key.to_string() fallback=reason.is_fallback()/> }
                            })
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
        </li>
    }
    .into_any()
}

/// The run's begin, and its end so far.
fn span(run: LiveRun) -> (Timestamp, u64) {
    (run.state.read().acknowledged_at, run.elapsed.get().max(1))
}

fn bars(run: LiveRun, step: &StepState) -> impl IntoView + use<> {
    let (from, whole) = span(run);
    let hue = step.role.as_ref().map(|role| role_hue(role.key.as_str())).unwrap_or_default();
    let bars = step.attempts.iter().map(|attempt| {
        let begin = attempt.started_at.since(from).min(whole);
        let end = attempt.finished_at.map_or(whole, |at| at.since(from)).clamp(begin, whole);
        let width = ((end - begin) * WIDTH / whole).max(LEAST);
        let x = (begin * WIDTH / whole).min(WIDTH - LEAST);
        let kind = match attempt.end {
            None => "bar-open",
            Some(AttemptEnd::Finished) => "bar-done",
            Some(_) => "bar-failed",
        };
        view! { <rect class=format!("bar {kind} {hue}") x=x y="1" width=width.min(WIDTH - x) height="10" rx="2"></rect> }
    });
    bars.collect_view()
}

fn took(run: LiveRun, step: &StepState) -> Option<String> {
    let from = step.started_at()?;
    if let Some(to) = step.finished_at() {
        return Some(format_duration(to.since(from)));
    }
    step.open_attempt()?;
    let (begin, whole) = span(run);
    Some(whole_seconds(whole.saturating_sub(from.since(begin))))
}
