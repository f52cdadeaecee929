//! The stored log of a run: all events, 500 per page, with a filter by kind, to be copied as JSON.

use super::server::list_events;
use crate::{
    fault,
    form::FaultPage,
    live::{LiveRun, Refresh},
    load::{Loaded, draw_in_place, load},
    ui::{Column, CopyButton, Skeleton, SkeletonShape, Table, format_duration},
};
use domain::{
    event::{Event, EventKind, Link},
    id::{RunNumber, Timestamp},
    key::ProjectKey,
    run::THROTTLED,
    view::Page,
};
use leptos::{prelude::*, task::spawn_local};
use leptos_router::hooks::use_query_map;

/// The events after a sequence number.
pub type EventsPage = fault::Result<(u64, Page<Event>)>;

/// The events of the run in the URL, while this tab is open (`shown`).
pub fn load_events(
    project: Memo<ProjectKey>,
    number: Memo<Option<RunNumber>>,
    shown: Memo<bool>,
) -> Loaded<Option<EventsPage>> {
    let query = use_query_map();
    let asked = Memo::new(move |_| {
        let after = query.read().get("after").and_then(|after| after.parse().ok()).unwrap_or(0);
        number.get().filter(|_| shown.get()).map(|number| (project.get(), number, after))
    });
    load(
        move || asked.get(),
        |asked| async move {
            let (project, number, after) = asked?;
            Some(list_events(project, number, after).await.map(|page| (after, page)))
        },
    )
}

#[component]
pub fn Events(project: ProjectKey, run: LiveRun, events: Loaded<Option<EventsPage>>) -> impl IntoView {
    let project = StoredValue::new(project);
    view! {
        <Transition fallback=|| view! { <Skeleton shape=SkeletonShape::Rows count=8/> }>
            {draw_in_place(events, move |answer| match answer {
                Some(Ok((after, page))) => {
                    view! { <EventList project=project.get_value() run page after/> }.into_any()
                }
                Some(Err(fault)) => view! { <FaultPage fault/> }.into_any(),
                None => ().into_any(),
            })}
        </Transition>
    }
}

#[component]
fn EventList(project: ProjectKey, run: LiveRun, page: Page<Event>, after: u64) -> impl IntoView {
    let query = use_query_map();
    let kind = Memo::new(move |_| query.read().get("kind"));
    let events = RwSignal::new(page.items);
    let next = RwSignal::new(page.next);
    let begun = run.state.read_untracked().acknowledged_at;
    let project = StoredValue::new(project);
    let refresh = Refresh::new(move || {
        spawn_local(async move {
            if let Ok(page) = list_events(project.get_value(), run.number, after).await {
                _ = events.try_set(page.items);
                _ = next.try_set(page.next);
            }
        });
    });
    Effect::new(move |seen: Option<u64>| {
        let seq = run.state.read().seq;
        if !run.past && seen.is_some_and(|seen| seen < seq) && next.read_untracked().is_none() {
            refresh.soon();
        }
        seq
    });
    // During time travel, only the events up to the shown one are listed.
    let until = Memo::new(move |_| if run.past { run.state.read().seq } else { u64::MAX });
    let kinds = Memo::new(move |_| {
        let now = until.get();
        let mut kinds: Vec<&'static str> = Vec::new();
        for event in events.read().iter().filter(|event| event.seq <= now) {
            if !kinds.contains(&event.kind.name()) {
                kinds.push(event.kind.name());
            }
        }
        kinds
    });
    let shown = Memo::new(move |_| {
        let kind = kind.get();
        let of_kind = |event: &&Event| kind.as_deref().is_none_or(|kind| event.kind.name() == kind);
        let now = until.get();
        let there = |event: &&Event| event.seq <= now;
        events.read().iter().filter(there).filter(of_kind).cloned().collect::<Vec<_>>()
    });
    let page_query = if after == 0 { String::new() } else { format!("&after={after}") };
    let chip = move |label: &'static str, value: Option<&'static str>| {
        let filter = value.map(|value| format!("&kind={value}")).unwrap_or_default();
        let href = format!("?tab=events{filter}{page_query}");
        view! {
            <a class="run-chip" href=href aria-current=move || (kind.get().as_deref() == value).then_some("true")>
                {label}
            </a>
        }
    };
    let all = chip.clone();
    let json = Signal::derive(move || serde_json::to_string_pretty(&*shown.read()).unwrap_or_default());
    view! {
        <div class="run-events">
            <div class="run-filters" role="group" aria-label="Kinds">
                {all("All", None)}
                {move || kinds.get().into_iter().map(|kind| chip(kind, Some(kind))).collect_view()}
                <CopyButton text=json label="Copy as JSON"/>
            </div>
            <Table
                label="Events"
                columns=vec![
                    Column::new("No.").num(),
                    Column::new("At").num(),
                    Column::new("Kind").tight(),
                    Column::new("Step").wide_only(),
                    Column::new("What"),
                ]
            >
                <For each=move || shown.get() key=|event| event.seq let:event>
                    <EventRow run event begun/>
                </For>
            </Table>
            <nav class="pager" aria-label="Pages">
                {(after > 0).then(|| view! { <a class="button button-secondary button-small" href="?tab=events">"First"</a> })}
                {move || {
                    let more = events.with(|events| events.last().is_some_and(|last| last.seq < until.get()));
                    next.get()
                        .filter(|_| more)
                        .map(|next| {
                            let href = format!("?tab=events&after={next}");
                            view! { <a class="button button-secondary button-small" href=href>"Next 500"</a> }
                        })
                }}
            </nav>
        </div>
    }
    .into_any()
}

#[component]
fn EventRow(run: LiveRun, event: Event, begun: Timestamp) -> impl IntoView {
    let step = event.kind.step().map(|step| run.state.with_untracked(|state| state.label(step)));
    let json = serde_json::to_string_pretty(&event).unwrap_or_default();
    view! {
        <tr>
            <td class="num mono">{event.seq}</td>
            <td class="num mono">"+" {format_duration(event.at.since(begun))}</td>
            <td class="mono tight">{event.kind.name()}</td>
            <td class="wide-only">{step}</td>
            <td>
                <details class="event-details">
                    <summary>{what(&event.kind)}</summary>
                    <pre class="run-text run-text-code" tabindex="0">{json}</pre>
                </details>
            </td>
        </tr>
    }
    .into_any()
}

/// A short description of the event.
pub(super) fn what(kind: &EventKind) -> String {
    match kind {
        EventKind::Acknowledged { queue_position, .. } => format!("{queue_position} live runs before it"),
        EventKind::Submitted { template, by, .. } => {
            format!("{} v{}, by {by}", template.name, template.version)
        }
        EventKind::RolesResolved { roles } => {
            let fallbacks = roles.iter().filter(|role| role.reason.is_fallback()).count();
            format!("{} steps, {fallbacks} with a stand-in", roles.len())
        }
        EventKind::Ready { .. } => "may start".to_owned(),
        EventKind::ConditionEvaluated { holds, .. } => format!("the condition is {holds}"),
        EventKind::Started { attempt, .. } => format!("attempt {attempt}"),
        EventKind::Prompt { attempt, prompt, .. } => {
            format!("attempt {attempt}, {} bytes sent", prompt.bytes)
        }
        EventKind::CallBegan { attempt, .. } => format!("attempt {attempt}, its call begins"),
        EventKind::ItemsResolved { count, .. } => format!("{count} items"),
        EventKind::Gathered { output, failed: 0, .. } => format!("{} bytes", output.bytes),
        EventKind::Gathered { output, failed, .. } => {
            format!("{} bytes, {failed} items without an output", output.bytes)
        }
        EventKind::Reused { output, .. } => format!("{} bytes, with no call", output.bytes),
        EventKind::Linked { to: Link::ChildRun(run), .. } => format!("run {run}"),
        EventKind::ChildWaiting { question, .. } => {
            format!("{}: {}", question.waits(), question.question.head)
        }
        EventKind::ChildResumed { .. } => "its run goes on".to_owned(),
        EventKind::FileRequested { path, .. } => path.to_string(),
        EventKind::FileWritten { path, content, edited, .. } => {
            let how = if *edited { "edited" } else { "written" };
            format!("{path} {how}, {} bytes", content.bytes)
        }
        EventKind::Waiting { question, .. } => question.head.clone(),
        EventKind::Answered { decision, by, .. } => {
            format!("{} by {}", decision.as_str(), by.as_deref().unwrap_or("the time limit"))
        }
        EventKind::Finished { output, usage, .. } => {
            format!("{} bytes, {} tokens", output.bytes, usage.total())
        }
        EventKind::PartialOutput { text, .. } => format!("{} bytes, not taken as the output", text.bytes),
        EventKind::StepFailed { error, retry_at, .. }
        | EventKind::TimedOut { error, retry_at, .. }
        | EventKind::Interrupted { error, retry_at, .. } => {
            let then = if retry_at.is_some() { "tried again" } else { "for good" };
            format!("{}: {} ({then})", error.class, error.message)
        }
        EventKind::Throttled { error, .. } => {
            format!("{}: {} ({THROTTLED})", error.class, error.message)
        }
        EventKind::Skipped { reason, .. } => reason.clone(),
        EventKind::StepCancelled { .. } => "stopped".to_owned(),
        EventKind::Completed { output, .. } => format!("{} bytes", output.bytes),
        EventKind::Failed { error, .. } => format!("{}: {}", error.class, error.message),
        EventKind::Cancelled { by } => format!("by {by}"),
    }
}
