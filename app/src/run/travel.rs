//! Time travel: an ended run at any of its events. The shown state is folded from the log by the same code as live.

use super::{events::what, server::list_events, words::run_status};
use crate::{
    fault::Fault,
    form::FaultNotice,
    live::LiveRun,
    ui::{Button, ButtonSize, ButtonVariant, Glyph, IconButton, StatusBadge, format_duration},
};
use domain::{
    event::{Event, EventKind},
    key::ProjectKey,
    run::RunState,
};
use leptos::{leptos_dom::helpers::IntervalHandle, prelude::*, task::spawn_local};
use leptos_router::{
    NavigateOptions,
    hooks::{use_navigate, use_query_map},
};
use std::{sync::Arc, time::Duration};

/// A state is kept every this many events, so that going back folds at most this many.
const KEPT_EVERY: usize = 500;
/// A replay takes the same time for every run: this many ticks, at this interval.
const BEATS: usize = 120;
const BEAT: Duration = Duration::from_millis(100);
/// With more starts than this, they have no marks, which would merge into one grey bar.
const MARKED_STARTS: usize = 400;
/// Width of the marks' drawing, which stretches to that of the slider.
const WIDTH: usize = 1_000;

/// A log and its kept states.
struct Log {
    events: Vec<Event>,
    /// The states after `KEPT_EVERY`, twice as many, … events.
    kept: Vec<RunState>,
    /// Number of events before the plan is known; earlier states show nothing.
    first: usize,
}

impl Log {
    fn new(events: Vec<Event>) -> Self {
        let (mut state, mut kept, mut first) = (RunState::default(), Vec::new(), 0);
        for (index, event) in events.iter().enumerate() {
            state.apply(event);
            if first == 0 && !state.plan.steps.is_empty() {
                first = index + 1;
            }
            if (index + 1) % KEPT_EVERY == 0 {
                kept.push(state.clone());
            }
        }
        Self { events, kept, first: first.max(1) }
    }

    /// Moves `state` to the state after `count` events.
    fn seek(&self, state: &mut RunState, count: usize) {
        let mut at = state.seq as usize;
        let nearest = count / KEPT_EVERY;
        if at > count || nearest * KEPT_EVERY > at {
            *state = match nearest.checked_sub(1) {
                Some(place) => self.kept[place].clone(),
                None => RunState::default(),
            };
            at = nearest * KEPT_EVERY;
        }
        for event in &self.events[at..count] {
            state.apply(event);
        }
    }
}

/// `past` is the run at the shown event, which the page shows instead of the current one during time travel.
#[component]
pub fn TimeTravel(project: ProjectKey, run: LiveRun, past: RwSignal<Option<LiveRun>>) -> impl IntoView {
    let log = RwSignal::new(None::<Arc<Log>>);
    let fault = RwSignal::new(None::<Fault>);
    let busy = RwSignal::new(false);
    let project = StoredValue::new(project);
    let query = use_query_map();
    let asked = move || query.read_untracked().get("at").and_then(|at| at.parse::<usize>().ok());
    let open = move || {
        if busy.get_untracked() || past.read_untracked().is_some() {
            return;
        }
        busy.set(true);
        spawn_local(async move {
            let read = read_log(project.get_value(), run).await;
            _ = busy.try_set(false);
            match read {
                Ok(events) if !events.is_empty() => {
                    let read = Arc::new(Log::new(events));
                    let mut state = RunState::default();
                    let end = read.events.len();
                    read.seek(&mut state, asked().unwrap_or(end).clamp(read.first, end));
                    fault.set(None);
                    log.set(Some(read));
                    past.set(Some(LiveRun::past(run.number, state)));
                }
                Ok(_) => {}
                Err(why) => _ = fault.try_set(Some(why)),
            }
        });
    };
    let live = run.is_live();
    // Opens time travel if the URL names an event.
    Effect::new(move |_| {
        if asked().is_some() && !live.get() {
            open();
        }
    });
    view! {
        <Show when=move || !live.get() && past.read().is_none()>
            <Button
                variant=ButtonVariant::Ghost
                size=ButtonSize::Small
                glyph=Glyph::Clock
                busy=busy
                on_click=open
            >
                "Replay"
            </Button>
        </Show>
        <FaultNotice fault/>
        {move || {
            let (log, shown) = (log.get()?, past.get()?);
            Some(view! { <Slider log shown past/> })
        }}
    }
    .into_any()
}

async fn read_log(project: ProjectKey, run: LiveRun) -> Result<Vec<Event>, Fault> {
    let mut events: Vec<Event> = Vec::new();
    loop {
        let after = events.last().map_or(0, |last| last.seq);
        let page = list_events(project.clone(), run.number, after).await?;
        events.extend(page.items);
        if page.next.is_none() {
            return Ok(events);
        }
    }
}

#[component]
fn Slider(log: Arc<Log>, shown: LiveRun, past: RwSignal<Option<LiveRun>>) -> impl IntoView {
    let (first, end) = (log.first, log.events.len());
    let marks = marks(&log);
    let log = StoredValue::new(log);
    let at = Memo::new(move |_| shown.state.read().seq as usize);
    let playing = StoredValue::new(None::<IntervalHandle>);
    let plays = RwSignal::new(false);
    let (navigate, query) = (use_navigate(), use_query_map());
    let address = StoredValue::new(move |at: Option<usize>| {
        let options = NavigateOptions { replace: true, scroll: false, ..NavigateOptions::default() };
        let mut here = query.get_untracked();
        match at {
            Some(at) => here.replace("at", at.to_string()),
            None => _ = here.remove("at"),
        }
        navigate(&here.to_query_string(), options);
    });
    let write = move |at: Option<usize>| _ = address.try_with_value(|address| address(at));
    // Opening a step or another tab keeps the shown event in the URL.
    Effect::new(move |_| {
        if query.read().get("at").is_none() {
            write(Some(at.get_untracked()));
        }
    });
    let seek = move |count: usize| {
        let count = count.clamp(first, end);
        log.with_value(|log| shown.state.update(|state| log.seek(state, count)));
    };
    let halt = move || {
        if let Some(Some(handle)) = playing.try_update_value(Option::take) {
            handle.clear();
        }
        _ = plays.try_set(false);
    };
    on_cleanup(halt);
    let go = move |count: usize| {
        halt();
        seek(count);
        write(Some(at.get_untracked()));
    };
    let play = move || {
        if plays.get_untracked() {
            halt();
            write(Some(at.get_untracked()));
            return;
        }
        if at.get_untracked() == end {
            seek(first);
        }
        let step = (end - first).div_ceil(BEATS).max(1);
        let beat = move || {
            seek(at.get_untracked() + step);
            if at.get_untracked() == end {
                halt();
                write(Some(end));
            }
        };
        playing.set_value(set_interval_with_handle(beat, BEAT).ok());
        plays.set(true);
    };
    let leave = move || {
        halt();
        past.set(None);
        write(None);
    };
    let words = Memo::new(move |_| {
        let at = at.get();
        let log = log.get_value();
        let event = log.events.get(at.checked_sub(1)?)?;
        let state = shown.state.read();
        let step = event.kind.step().map(|step| format!("{}: ", state.label(step))).unwrap_or_default();
        let since = format_duration(event.at.since(state.acknowledged_at));
        Some((format!("Event {at} of {end}"), format!("+{since}"), format!("{step}{}", what(&event.kind))))
    });
    let spoken = move || {
        words.get().map(|(place, since, what)| format!("{place}, {since}, {what}")).unwrap_or_default()
    };
    let status = Memo::new(move |_| shown.state.with(run_status));
    let play_glyph = Signal::derive(move || if plays.get() { Glyph::Pause } else { Glyph::Play });
    let play_label = Signal::derive(move || if plays.get() { "Pause" } else { "Play" }.to_owned());
    view! {
        <section class="travel" aria-label="Time travel">
            <div class="travel-controls">
                <IconButton glyph=Glyph::ChevronLeft label="One event back" on_click=move || go(at.get_untracked().saturating_sub(1))/>
                {move || view! { <IconButton glyph=play_glyph.get() label=play_label on_click=play/> }}
                <IconButton glyph=Glyph::ChevronRight label="One event on" on_click=move || go(at.get_untracked() + 1)/>
            </div>
            <div class="travel-line">
                <svg class="travel-marks" viewBox=format!("0 0 {WIDTH} 8") preserveAspectRatio="none" aria-hidden="true">
                    {marks}
                </svg>
                <input
                    type="range"
                    class="travel-slider"
                    aria-label="Moment of the run"
                    min=first
                    max=end
                    step="1"
                    aria-valuetext=spoken
                    prop:value=move || at.get().to_string()
                    on:input:target=move |event| {
                        halt();
                        if let Ok(count) = event.target().value().parse() {
                            seek(count);
                        }
                    }
                    on:change=move |_| write(Some(at.get_untracked()))
                />
            </div>
            <p class="travel-words">
                <StatusBadge status plain=true/>
                {move || words.get().map(|(place, since, what)| view! {
                    <span class="mono">{place}</span>
                    <span class="mono">{since}</span>
                    <span class="travel-what">{what}</span>
                })}
            </p>
            <Button size=ButtonSize::Small on_click=leave>"Back to the end"</Button>
        </section>
    }
    .into_any()
}

/// Marks where attempts start, fail, and wait for people.
fn marks(log: &Log) -> impl IntoView + use<> {
    let starts = log.events.iter().filter(|event| matches!(event.kind, EventKind::Started { .. })).count();
    let span = (log.events.len() - log.first).max(1);
    let mark = |(index, event): (usize, &Event)| {
        let class = match event.kind {
            EventKind::Started { .. } if starts <= MARKED_STARTS => "travel-start",
            EventKind::StepFailed { .. }
            | EventKind::Throttled { .. }
            | EventKind::TimedOut { .. }
            | EventKind::Interrupted { .. } => "travel-failed",
            EventKind::Waiting { .. } => "travel-waiting",
            _ => return None,
        };
        let x = (index + 1).saturating_sub(log.first) * WIDTH / span;
        Some(view! { <rect class=class x=x.min(WIDTH - 2) y="0" width="2" height="8"></rect> })
    };
    log.events.iter().enumerate().filter_map(mark).collect_view()
}

#[cfg(all(test, feature = "ssr"))]
mod tests {
    use super::*;
    use domain::{
        event::{TemplateVersion, TextRef},
        id::{ContentId, EventId, StepRunId, Timestamp},
        key::TemplateKey,
    };
    use serde_json::json;

    /// A log of one step with many attempts: long enough for kept states.
    fn log(attempts: u32) -> Log {
        let step = StepRunId::of(0);
        let plan = serde_json::from_value(json!({"steps": [{"name": "A"}]})).unwrap();
        let id = "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap();
        let mut kinds = vec![
            EventKind::Acknowledged { event_id: EventId(id), queue_position: 0 },
            EventKind::Submitted {
                template: TemplateVersion { key: TemplateKey::from_title("t"), version: 1, name: "T".into() },
                plan: Arc::new(plan),
                input: TextRef::new(ContentId(id), "{}"),
                by: "Ada".into(),
                parent: None,
                caller: None,
            },
        ];
        let owner: domain::id::OwnerId = "00000000-0000-7000-8000-000000000000".parse().unwrap();
        for attempt in 1..=attempts {
            kinds.push(EventKind::Started { step, attempt, owner: Some(owner) });
            kinds.push(EventKind::Interrupted {
                step,
                attempt,
                error: domain::event::Failure::new(domain::error::ErrorClass::Interrupted, "killed"),
                retry_at: None,
            });
        }
        let event = |(index, kind)| Event { seq: index as u64 + 1, at: Timestamp(index as i64), kind };
        Log::new(kinds.into_iter().enumerate().map(event).collect())
    }

    /// F3, F4: in whatever way an event is reached, the shown state is the fold of the log up to it.
    #[test]
    fn every_moment_is_the_fold_of_what_came_before() {
        let log = log(800);
        assert_eq!((log.first, log.kept.len()), (2, 3));
        let mut state = RunState::default();
        for count in [2, 3, 700, 1_602, 1_500, 1_499, 501, 500, 499, 2, 1_001, 1_000] {
            log.seek(&mut state, count);
            assert_eq!(state, RunState::replay(&log.events[..count]), "after {count} events");
        }
    }
}
