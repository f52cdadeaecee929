//! The timeline of a run: a row per step, with a bar per attempt in the colour of its role. Items of a step with
//! forEach have rows below it.

use super::{
    nested::Nested,
    newest::{FollowNewest, newest},
    rows::{Rows, first_steps, row_id},
    scale::{Scale, WIDTH, critical_path},
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
    run::{AttemptOutcome, StepState, StepStatus},
};
use leptos::{html, prelude::*};
use std::sync::Arc;

/// Minimum width at which a bar is visible.
const LEAST: u64 = 6;
/// Interval in milliseconds at which a live run's scale and critical path are recomputed.
const BEAT: u64 = 250;
/// Number of items shown before the user asks for all.
const ITEMS: u32 = 50;

/// The data that all rows of a timeline share.
#[derive(Clone, Copy)]
struct Drawing {
    run: LiveRun,
    scale: Memo<Scale>,
    /// The indexes of the steps on the critical path.
    critical: Memo<Vec<usize>>,
    chosen: Signal<Option<StepRunId>>,
    following: RwSignal<bool>,
    /// The step run being followed.
    newest: Memo<Option<StepRunId>>,
}

#[component]
pub fn Timeline(
    project: ProjectKey,
    run: LiveRun,
    #[prop(into)] chosen: Signal<Option<StepRunId>>,
) -> impl IntoView {
    let count = Memo::new(move |_| run.state.read().plan.steps.len());
    let ids = Memo::new(move |_| first_steps(count.get(), usize::MAX));
    let beat = beat(run);
    let scale = Memo::new(move |_| {
        beat.track();
        run.state.with_untracked(|state| Scale::of(state, run.elapsed.get_untracked()))
    });
    // A critical path of a single step carries no information.
    let critical = Memo::new(move |_| {
        beat.track();
        let path = run.state.with_untracked(critical_path);
        if path.len() > 1 { path } else { Vec::new() }
    });
    let following = RwSignal::new(false);
    let newest = newest(run, following);
    let drawing = Drawing { run, scale, critical, chosen, following, newest };
    let wanted = Memo::new(move |_| newest.get().map(|id| StepRunId { item: None, ..id }));
    let row = move |id| view! { <TimelineRow project=project.clone() drawing id/> }.into_any();
    view! {
        <div class="timeline-head">
            <p class="legend">
                {move || (!critical.read().is_empty()).then(|| view! {
                    <span class="timeline-critical-word">"Critical path"</span>
                })}
                {move || rest_words(&scale.read()).map(|words| view! { <span class="timeline-idle-word">{words}</span> })}
            </p>
            <FollowNewest run following/>
        </div>
        <Axis scale/>
        <ol class="timeline" aria-label="Steps">
            <Rows ids row=Arc::new(row) wanted/>
        </ol>
    }
    .into_any()
}

/// Changes when the whole run must be re-examined: for a live run a few times a second, regardless of its number of
/// events.
fn beat(run: LiveRun) -> Memo<(u64, u64)> {
    Memo::new(move |_| {
        let (seq, ended) = run.state.with(|state| (state.seq, state.phase.is_end()));
        let elapsed = run.elapsed.get();
        if ended || run.past { (elapsed, seq) } else { (elapsed / BEAT, 0) }
    })
}

/// The total time that the drawing shortens.
fn rest_words(scale: &Scale) -> Option<String> {
    match scale.idle.len() {
        0 => None,
        1 => Some(format!("Nothing ran for {}, drawn as a break", format_duration(scale.rested()))),
        many => Some(format!("Nothing ran for {} in {many} breaks", format_duration(scale.rested()))),
    }
}

/// The axis above the bars: the positions and durations of the breaks.
#[component]
fn Axis(scale: Memo<Scale>) -> impl IntoView {
    let any = Memo::new(move |_| !scale.read().idle.is_empty());
    let breaks = move || {
        let scale = scale.read();
        let words = scale.idle.iter().map(|idle| {
            let middle = (scale.x(idle.from) + scale.x(idle.to)) as f64 / 2.0 / WIDTH as f64;
            // Labels at an edge stay inside the drawing.
            let anchor = match middle {
                ..0.15 => "start",
                0.85.. => "end",
                _ => "middle",
            };
            view! {
                <text x=format!("{:.1}%", middle * 100.0) y="11" text-anchor=anchor>
                    {format_duration(idle.to - idle.from)}
                </text>
            }
        });
        words.collect_view()
    };
    view! {
        <Show when=move || any.get()>
            <div class="timeline-link timeline-axis" aria-hidden="true">
                <span class="timeline-name"></span>
                <span class="timeline-role"></span>
                <svg class="timeline-words">{breaks}</svg>
                <span class="timeline-time"></span>
            </div>
        </Show>
    }
}

#[component]
fn TimelineRow(project: ProjectKey, drawing: Drawing, id: StepRunId) -> impl IntoView {
    let for_each = drawing
        .run
        .state
        .with_untracked(|state| state.plan.steps.get(id.index()).is_some_and(|step| step.for_each));
    view! {
        <li class="timeline-row">
            <TimelineStep project=project.clone() drawing id/>
            {for_each.then(|| view! { <Items project drawing step=id/> })}
        </li>
    }
    .into_any()
}

/// The row of a step, or of one of its items.
#[component]
fn TimelineStep(project: ProjectKey, drawing: Drawing, id: StepRunId) -> impl IntoView {
    let Drawing { run, critical, chosen, newest, .. } = drawing;
    let on_path = move || critical.read().binary_search(&id.index()).is_ok();
    let is_critical = Memo::new(move |_| id.item.is_none() && on_path());
    let is_newest = Memo::new(move |_| newest.get() == Some(id));
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
            id=row_id(id)
            href=href
            data-noscroll="true"
            data-critical=move || is_critical.get().then_some("true")
            data-newest=move || is_newest.get().then_some("true")
            aria-current=move || (chosen.get() == Some(id)).then_some("true")
        >
            <span class="timeline-name">
                <StatusBadge status icon_only=true/>
                <span>{name}</span>
                {move || is_critical.get().then(|| view! { <span class="visually-hidden">", on the critical path"</span> })}
            </span>
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
                {move || bars(drawing, &step.read())}
            </svg>
            <span class="timeline-time">{move || took(run, &step.read())}</span>
        </a>
        {(!run.past).then(|| view! { <Nested project step/> })}
    }
    .into_any()
}

/// The beginning of an item's output, or of its error.
fn said(step: &StepState) -> Option<String> {
    match step.status {
        StepStatus::Failed => step.failure().map(|failure| failure.message.clone()),
        _ => step.output.as_ref().map(|output| output.head.clone()),
    }
}

/// The items of a step, limited until the user asks for all.
#[component]
fn Items(project: ProjectKey, drawing: Drawing, step: StepRunId) -> impl IntoView {
    let Drawing { run, following, newest, .. } = drawing;
    let counts = run.items(step);
    let all = RwSignal::new(false);
    let wanted =
        Memo::new(move |_| newest.get().filter(|id| id.index() == step.index() && id.item.is_some()));
    let details = NodeRef::<html::Details>::new();
    Effect::new(move |_| {
        let Some(item) = wanted.get().and_then(|id| id.item) else { return };
        if item >= ITEMS {
            all.set(true);
        }
        // Expands the items, so that the followed one is visible.
        if let Some(details) = details.get_untracked().filter(|details| !details.open()) {
            details.set_open(true);
        }
    });
    let total = Memo::new(move |_| counts.get().map(|counts| counts.total));
    let ids = Memo::new(move |_| {
        let total = total.get().unwrap_or_default();
        let shown = if all.get() { total } else { total.min(ITEMS) };
        (0..shown).map(|item| StepRunId { item: Some(item), ..step }).collect::<Vec<_>>()
    });
    let rest = Memo::new(move |_| total.get().filter(|total| !all.get() && *total > ITEMS));
    let label = run.state.with_untracked(|state| format!("Items of {}", state.name(step)));
    let row =
        Arc::new(move |id| view! { <li><TimelineStep project=project.clone() drawing id/></li> }.into_any());
    move || {
        total.get().map(|_| {
            view! {
                <details class="timeline-items" open=true node_ref=details>
                    // Collapsing the items by hand turns following off.
                    <summary on:click=move |_| following.set(false)>{move || counts.get().map(item_words)}</summary>
                    <ol aria-label=label.clone()><Rows ids row=row.clone() wanted/></ol>
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

/// The run's start time, and its duration so far.
fn span(run: LiveRun) -> (Timestamp, u64) {
    (run.state.read().acknowledged_at, run.elapsed.get().max(1))
}

fn bars(drawing: Drawing, step: &StepState) -> impl IntoView + use<> {
    let begun = drawing.run.state.read().acknowledged_at;
    let scale = drawing.scale.read();
    let hue = step.role.as_ref().map(|role| role_hue(role.key.as_str())).unwrap_or_default();
    let bar = |kind: &str, begin: Timestamp, end: Option<Timestamp>| {
        let from = scale.x(begin.since(begun));
        let to = end.map_or(WIDTH, |at| scale.x(at.since(begun)));
        let width = to.saturating_sub(from).max(LEAST);
        let x = from.min(WIDTH - LEAST);
        let class = format!("bar {kind} {hue}");
        view! { <rect class=class x=x y="1" width=width.min(WIDTH - x) height="10" rx="2"></rect> }
    };
    let breaks = scale.idle.iter().map(|idle| {
        let (from, to) = (scale.x(idle.from), scale.x(idle.to));
        view! { <rect class="bar-break" x=from y="0" width=to.saturating_sub(from).max(2) height="12"></rect> }
    });
    let breaks = breaks.collect_view();
    // A step that waits for a person, or for its items, has no attempts itself.
    let whole_step = step.started_at().filter(|_| step.attempts.is_empty()).map(|begin| {
        let kind = match (step.status, &step.question) {
            (StepStatus::Failed, _) => "bar-failed",
            (_, Some(_)) => "bar-asked",
            _ => "bar-done",
        };
        bar(kind, begin, step.finished_at())
    });
    let attempts = step.attempts.iter().map(|attempt| {
        let kind = match attempt.end.as_ref().map(|end| &end.outcome) {
            None => "bar-open",
            Some(AttemptOutcome::Finished) => "bar-done",
            Some(AttemptOutcome::Throttled(_)) => "bar-asked",
            Some(_) => "bar-failed",
        };
        bar(kind, attempt.started_at, attempt.finished_at())
    });
    let bars = whole_step.into_iter().chain(attempts).collect_view();
    // The waiting time is visible in the break that it causes.
    (breaks, bars)
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
