//! A run as this tab follows it: its state, folded with the domain's code, and the texts of its open attempts.
//!
//! Invariant: only `RunState::apply` changes the state. A feed may exist before the page shows it; events that arrive
//! meanwhile are in its state.

use super::text::{Appended, LiveText};
use domain::{
    event::{Delta, Event},
    id::{RunNumber, StepRunId, Timestamp},
    run::{ItemCounts, RunState, StepState},
};
use leptos::prelude::*;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

#[derive(Clone)]
pub(super) struct Feed {
    pub state: ArcRwSignal<RunState>,
    texts: Arc<Mutex<BTreeMap<StepRunId, ArcRwSignal<LiveText>>>>,
    /// Notifies when any of the texts has grown.
    grown: ArcTrigger,
}

impl Feed {
    pub fn new(state: RunState) -> Self {
        Self { state: ArcRwSignal::new(state), texts: Arc::default(), grown: ArcTrigger::new() }
    }

    /// Takes over the state that a page was rendered with, unless this feed's state is newer.
    pub fn meet(&self, state: RunState) {
        if self.state.read_untracked().seq < state.seq {
            self.state.set(state);
        }
    }

    pub fn text(&self, step: StepRunId) -> ArcRwSignal<LiveText> {
        self.texts.lock().unwrap_or_else(PoisonError::into_inner).entry(step).or_default().clone()
    }

    /// Applies events and deltas of this run, in order. Returns false if something in between is missing.
    pub fn take(&self, events: &[Event], deltas: &[Delta]) -> bool {
        let mut whole = true;
        if events.iter().any(|event| event.seq > self.state.read_untracked().seq) {
            self.state.update(|state| {
                for event in events {
                    whole &= event.seq <= state.seq + 1;
                    state.apply(event);
                }
            });
        }
        for run in deltas.chunk_by(|one, next| one.step == next.step) {
            let text = self.text(run[0].step);
            let mut added = false;
            text.update_untracked(|text| {
                for delta in run {
                    let did = text.append(delta);
                    added |= did == Appended::Added;
                    whole &= did != Appended::Gap;
                }
            });
            if added {
                text.notify();
                self.grown.notify();
            }
        }
        whole
    }

    /// Bytes of the currently streaming texts.
    fn streaming(&self) -> u64 {
        self.grown.track();
        let state = self.state.read();
        let texts = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        let open = texts.iter().filter_map(|(step, text)| {
            let (attempt, text) = (state.step_run(*step)?.open_attempt()?, text.read_untracked());
            (attempt.number == text.attempt).then_some(text.text.len() as u64)
        });
        open.sum()
    }
}

/// A followed run, for components: cheap to copy.
#[derive(Clone, Copy)]
pub struct LiveRun {
    pub number: RunNumber,
    pub state: RwSignal<RunState>,
    /// Milliseconds since the acknowledgement; ticks while the run is live.
    pub elapsed: Signal<u64>,
    /// Whether the run is shown at a past event (time travel).
    pub past: bool,
    clock: Signal<Option<Timestamp>>,
    feed: StoredValue<Feed>,
}

impl LiveRun {
    /// A run at a past event; the time travel view sets its state.
    pub fn past(number: RunNumber, state: RunState) -> Self {
        let run = Self::new(number, Feed::new(state), Timestamp(0), Signal::stored(None));
        Self { past: true, ..run }
    }

    /// The time to which running durations are counted; `None` before the page's clock ticks.
    pub fn now(self) -> Option<Timestamp> {
        if self.past { Some(self.state.read().last_at) } else { self.clock.get() }
    }

    /// `clock` is the server's time by this tab's clock, `None` until the first tick. Until then `drawn_at` is used,
    /// so that the server and the browser render the same.
    pub(super) fn new(
        number: RunNumber,
        feed: Feed,
        drawn_at: Timestamp,
        clock: Signal<Option<Timestamp>>,
    ) -> Self {
        let state = RwSignal::from(feed.state.clone());
        let elapsed = Signal::derive(move || {
            let state = state.read();
            if state.phase.is_end() {
                return state.elapsed_ms();
            }
            let now = clock.get().map_or(drawn_at, |now| now.max(drawn_at)).max(state.last_at);
            now.since(state.acknowledged_at)
        });
        Self { number, state, elapsed, past: false, clock, feed: StoredValue::new(feed) }
    }

    /// The text of the step's newest attempt that streams, or has streamed to this tab.
    pub fn text(self, step: StepRunId) -> RwSignal<LiveText> {
        RwSignal::from(self.feed.with_value(|feed| feed.text(step)))
    }

    /// Bytes generated so far: outputs, files, and streaming texts.
    pub fn bytes_generated(self) -> u64 {
        self.state.read().bytes_generated + self.feed.with_value(Feed::streaming)
    }

    /// The state of one step run, without its items' runs. It changes only if that step run does.
    pub fn step(self, step: StepRunId) -> Memo<StepState> {
        Memo::new(move |_| {
            self.state.with(|state| state.step_run(step).map(StepState::alone).unwrap_or_default())
        })
    }

    /// Progress of a step's items; `None` before its list is known.
    pub fn items(self, step: StepRunId) -> Memo<Option<ItemCounts>> {
        Memo::new(move |_| {
            let state = self.state.read();
            let items = state.step_run(step)?.items.as_ref()?;
            Some(ItemCounts::of(&items.runs))
        })
    }

    /// Whether the run has not ended.
    pub fn is_live(self) -> Memo<bool> {
        Memo::new(move |_| self.state.with(|state| !state.phase.is_end()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{event::EventKind, id::EventId, run::Phase};

    fn acknowledged(seq: u64) -> Event {
        let event_id: EventId = "01890a5d-ac96-774b-bcce-b302099a8057".parse().expect("it is a UUID");
        Event { seq, at: Timestamp(5), kind: EventKind::Acknowledged { event_id, queue_position: 0 } }
    }

    fn stopped(seq: u64) -> Event {
        Event { seq, at: Timestamp(9), kind: EventKind::Cancelled { by: "Ada".into() } }
    }

    #[test]
    fn repeats_change_nothing_and_gaps_are_seen() {
        let owner = Owner::new();
        owner.with(|| {
            let feed = Feed::new(RunState::default());
            assert!(feed.take(&[acknowledged(1), acknowledged(1)], &[]));
            assert!(!feed.take(&[stopped(3)], &[]));
            assert_eq!(feed.state.read_untracked().seq, 1);
            assert!(feed.take(&[acknowledged(1), stopped(2)], &[]));
            assert_eq!(feed.state.read_untracked().phase, Phase::Cancelled);
        });
    }

    #[test]
    fn a_page_drawn_earlier_does_not_set_a_feed_back() {
        let owner = Owner::new();
        owner.with(|| {
            let feed = Feed::new(RunState::default());
            feed.take(&[acknowledged(1), stopped(2)], &[]);
            feed.meet(RunState::replay(&[acknowledged(1)]));
            assert_eq!(feed.state.read_untracked().phase, Phase::Cancelled);
        });
    }
}
