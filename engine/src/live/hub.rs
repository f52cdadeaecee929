//! The channel between a run's actor and its watchers: a wake-up, and the text of open attempts.

use domain::{
    event::{Delta, Event, PARTIAL_OUTPUT_LIMIT, head},
    id::{RunId, StepRunId},
    run::RunState,
};
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::sync::{oneshot, watch};

/// How many committed events are cached for watchers; a watcher that is further behind reads the log.
const RECENT: usize = 64;
/// How many bytes of ended attempts' texts are kept per run, for watchers that have not received all of them. Watchers
/// that are further behind read the outputs.
const DONE_BYTES: usize = 256 * 1024;
/// Approximate overhead of a text, in bytes.
const ENTRY_BYTES: usize = 128;

/// The channels of the runs that have an actor or watchers.
#[derive(Default)]
pub(crate) struct Hub {
    channels: Mutex<HashMap<RunId, Weak<RunChannel>>>,
}

impl Hub {
    /// The run's channel. It lives as long as it has a holder.
    pub fn channel(&self, run: RunId) -> Arc<RunChannel> {
        let mut channels = lock(&self.channels);
        if let Some(channel) = channels.get(&run).and_then(Weak::upgrade) {
            return channel;
        }
        // Dead entries are removed when the map would grow, which amortises the cost over insertions.
        if channels.len() == channels.capacity() {
            channels.retain(|_, channel| channel.strong_count() > 0);
        }
        let channel = Arc::new(RunChannel::default());
        channels.insert(run, Arc::downgrade(&channel));
        channel
    }

    /// The channels that have watchers, or callers that wait for the run's end.
    pub fn watched(&self) -> HashMap<RunId, Arc<RunChannel>> {
        let channels = lock(&self.channels);
        let live = channels.iter().filter_map(|(run, channel)| Some((*run, channel.upgrade()?)));
        live.filter(|(_, channel)| channel.is_watched()).collect()
    }
}

#[derive(Default)]
pub(crate) struct RunChannel {
    wake: watch::Sender<u64>,
    /// The last committed event.
    seq: AtomicU64,
    /// The last committed events, kept while there are watchers: a watcher that keeps up need not read the log.
    recent: Mutex<VecDeque<Event>>,
    texts: Mutex<LiveTexts>,
    /// Callers that wait for the run's end only; no earlier event wakes them.
    waiting: Mutex<Vec<oneshot::Sender<Ended>>>,
}

/// How a run has ended.
#[derive(Debug, PartialEq)]
pub(crate) enum Ended {
    /// This server ended it, in this state.
    Here(Box<RunState>),
    /// The store has the end, which is most likely that of another server.
    Stored,
}

/// A subscription to a run's end. It keeps the run's channel alive, so that the end is noticed whichever actor reaches
/// it.
pub(crate) struct RunEnd {
    _channel: Arc<RunChannel>,
    ended: oneshot::Receiver<Ended>,
}

impl RunEnd {
    /// The run's end, if it comes after [`RunEnd::of`].
    pub async fn reached(&mut self) -> Ended {
        match (&mut self.ended).await {
            Ok(ended) => ended,
            // This process does not work on the run any more.
            Err(_) => std::future::pending().await,
        }
    }

    pub fn of(channel: Arc<RunChannel>) -> Self {
        let (sender, ended) = oneshot::channel();
        let mut waiting = lock(&channel.waiting);
        // Remove the callers that have given up.
        waiting.retain(|waiting| !waiting.is_closed());
        waiting.push(sender);
        drop(waiting);
        Self { _channel: channel, ended }
    }
}

/// The texts of open attempts and of the last ended ones.
#[derive(Default)]
struct LiveTexts {
    of: BTreeMap<StepRunId, LiveText>,
    /// Ended attempts, oldest first; some may have been followed by another attempt of their step.
    done: VecDeque<(StepRunId, u32)>,
    /// Bytes of the ended texts in `of`.
    done_bytes: usize,
}

impl LiveTexts {
    fn begin(&mut self, step: StepRunId, attempt: u32) {
        let before = self.of.insert(step, LiveText { attempt, text: String::new(), done: false });
        self.done_bytes -= before.filter(|text| text.done).map_or(0, |text| text.bytes());
    }

    /// Keeps the text of an ended attempt, and drops the oldest ended texts that exceed the limit.
    fn end(&mut self, step: StepRunId, attempt: u32) {
        let Some(live) = self.of.get_mut(&step).filter(|live| live.attempt == attempt && !live.done) else {
            return;
        };
        live.done = true;
        live.text.shrink_to_fit();
        self.done_bytes += live.bytes();
        self.done.push_back((step, attempt));
        while self.done_bytes > DONE_BYTES
            && let Some((step, attempt)) = self.done.pop_front()
        {
            self.forget(step, attempt);
        }
        // Many retries of a step leave entries without a text.
        if self.done.len() > 2 * self.of.len() {
            let Self { of, done, .. } = self;
            done.retain(|(step, attempt)| of.get(step).is_some_and(|live| live.is_end_of(*attempt)));
        }
    }

    fn forget(&mut self, step: StepRunId, attempt: u32) {
        if let Some(live) = self.of.get(&step).filter(|live| live.is_end_of(attempt)) {
            self.done_bytes -= live.bytes();
            self.of.remove(&step);
        }
    }

    fn forget_done(&mut self) {
        self.of.retain(|_, live| !live.done);
        self.done.clear();
        self.done_bytes = 0;
    }
}

struct LiveText {
    attempt: u32,
    text: String,
    done: bool,
}

impl LiveText {
    fn bytes(&self) -> usize {
        ENTRY_BYTES + self.text.len()
    }

    fn is_end_of(&self, attempt: u32) -> bool {
        self.done && self.attempt == attempt
    }
}

/// How much of an attempt's text a watcher has received.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    attempt: u32,
    bytes: usize,
}

impl RunChannel {
    /// Publishes the events of a commit, and the state after them.
    pub fn committed(&self, events: &[Event], state: &RunState) {
        let Some(last) = events.last() else { return };
        if self.wake.receiver_count() > 0 {
            let mut recent = lock(&self.recent);
            recent.extend(events.iter().cloned());
            let surplus = recent.len().saturating_sub(RECENT);
            recent.drain(..surplus);
        }
        self.seq.store(last.seq, Ordering::Release);
        self.wake();
        if state.phase.is_end() {
            self.tell_end(|| Ended::Here(Box::new(state.clone())));
        }
    }

    /// The store has events up to `seq`, which another server may have committed; `ended`: the run has ended with them.
    pub fn reached(&self, seq: u64, ended: bool) {
        if self.seq.fetch_max(seq, Ordering::AcqRel) < seq {
            self.wake();
        }
        if ended {
            self.tell_end(|| Ended::Stored);
        }
    }

    fn tell_end(&self, ended: impl Fn() -> Ended) {
        for waiting in lock(&self.waiting).drain(..).filter(|waiting| !waiting.is_closed()) {
            drop(waiting.send(ended()));
        }
    }

    fn is_watched(&self) -> bool {
        self.wake.receiver_count() > 0 || lock(&self.waiting).iter().any(|waiting| !waiting.is_closed())
    }

    /// The events after `seq`, if they are cached without a gap.
    pub(super) fn recent(&self, seq: u64) -> Option<Vec<Event>> {
        let recent = lock(&self.recent);
        let next = seq.checked_add(1)?;
        let from = recent.iter().position(|event| event.seq == next)?;
        let events: Vec<_> = recent.iter().skip(from).cloned().collect();
        // Events were not kept while there were no watchers, so there may be a gap.
        events.windows(2).all(|pair| pair[0].seq + 1 == pair[1].seq).then_some(events)
    }

    pub fn begin(&self, step: StepRunId, attempt: u32) {
        lock(&self.texts).begin(step, attempt);
    }

    pub fn push(&self, step: StepRunId, attempt: u32, text: &str) {
        if let Some(live) = lock(&self.texts).of.get_mut(&step).filter(|live| live.attempt == attempt) {
            live.text.push_str(text);
        }
        self.wake();
    }

    /// The attempt's answer so far, up to a limit.
    pub fn partial_output(&self, step: StepRunId, attempt: u32) -> String {
        let texts = lock(&self.texts);
        let live = texts.of.get(&step).filter(|live| live.attempt == attempt);
        live.map(|live| head(&live.text, PARTIAL_OUTPUT_LIMIT).to_owned()).unwrap_or_default()
    }

    /// Ends the attempt. Its text is kept for the current watchers only.
    pub fn end(&self, step: StepRunId, attempt: u32) {
        let mut texts = lock(&self.texts);
        texts.end(step, attempt);
        if self.wake.receiver_count() == 0 {
            texts.forget_done();
        }
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<u64> {
        self.wake.subscribe()
    }

    pub(super) fn seq(&self) -> u64 {
        self.seq.load(Ordering::Acquire)
    }

    /// The text that a watcher lacks, per step run; updates `seen`.
    pub(super) fn unseen(&self, seen: &mut BTreeMap<StepRunId, Seen>) -> Vec<Delta> {
        let texts = lock(&self.texts);
        let mut deltas = Vec::new();
        for (&step, live) in texts.of.iter() {
            let had = seen.get(&step).copied().filter(|had| had.attempt == live.attempt);
            let from = had.map_or(0, |had| had.bytes);
            let newcomer = had.is_none() && live.done;
            if newcomer || live.text.len() <= from {
                continue;
            }
            seen.insert(step, Seen { attempt: live.attempt, bytes: live.text.len() });
            deltas.push(Delta {
                step,
                attempt: live.attempt,
                offset: from as u64,
                text: live.text[from..].to_owned(),
            });
        }
        deltas
    }

    fn wake(&self) {
        if self.wake.receiver_count() > 0 {
            self.wake.send_modify(|version| *version += 1);
        }
    }
}

/// A panic while one of these locks is held leaves plain data, which the next holder may use.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{event::EventKind, id::Timestamp, run::Phase};
    use futures::FutureExt;

    #[test]
    fn a_watcher_gets_each_byte_once_and_a_newcomer_the_text_so_far() {
        let channel = RunChannel::default();
        let _watching = channel.subscribe();
        let step = StepRunId::of(0);
        channel.begin(step, 1);
        channel.push(step, 1, "Grüße");
        let mut seen = BTreeMap::new();
        assert_eq!(channel.unseen(&mut seen)[0].text, "Grüße");
        assert!(channel.unseen(&mut seen).is_empty());
        channel.push(step, 1, " alle");
        let delta = channel.unseen(&mut seen).remove(0);
        assert_eq!((delta.offset, delta.text.as_str()), (7, " alle"));
        assert_eq!(channel.unseen(&mut BTreeMap::new())[0].text, "Grüße alle");
        channel.end(step, 1);
        assert!(
            channel.unseen(&mut BTreeMap::new()).is_empty(),
            "a finished text is the output, not a delta"
        );
        channel.begin(step, 2);
        channel.push(step, 2, "again");
        assert_eq!(channel.unseen(&mut seen)[0].offset, 0);
    }

    /// How many texts of ended attempts the channel keeps, and their bytes.
    fn kept(channel: &RunChannel) -> (usize, usize) {
        let texts = lock(&channel.texts);
        let done = || texts.of.values().filter(|live| live.done);
        let bytes = done().map(LiveText::bytes).sum();
        assert_eq!(texts.done_bytes, bytes);
        assert!(texts.done.len() <= 2 * texts.of.len());
        (done().count(), bytes)
    }

    #[test]
    fn texts_of_ended_attempts_do_not_pile_up() {
        for length in [4, 1_000, 100_000, 2 * DONE_BYTES] {
            let channel = RunChannel::default();
            let watching = channel.subscribe();
            let text = "x".repeat(length);
            for step in (0..3000).map(StepRunId::of) {
                channel.begin(step, 1);
                channel.push(step, 1, &text);
                channel.end(step, 1);
                channel.end(step, 1);
                assert!(kept(&channel).1 <= DONE_BYTES);
            }
            let most = DONE_BYTES / (length + ENTRY_BYTES);
            assert_eq!(kept(&channel).0, most, "of {length} bytes each");
            // A new attempt of the newest one replaces its ended text.
            channel.begin(StepRunId::of(2999), 2);
            assert_eq!(kept(&channel).0, most.saturating_sub(1));
            drop(watching);
            channel.end(StepRunId::of(2999), 2);
            assert_eq!(kept(&channel), (0, 0), "nobody is there to be given them");
        }
    }

    #[test]
    fn attempts_of_one_step_leave_one_text() {
        let channel = RunChannel::default();
        let _watching = channel.subscribe();
        for attempt in 1..1000 {
            channel.begin(StepRunId::of(0), attempt);
            channel.push(StepRunId::of(0), attempt, "text");
            channel.end(StepRunId::of(0), attempt);
            assert_eq!(kept(&channel), (1, ENTRY_BYTES + 4));
        }
    }

    #[tokio::test]
    async fn who_waits_for_the_end_hears_of_nothing_else_and_leaves_nothing_behind() {
        let channel = Arc::new(RunChannel::default());
        for _ in 0..1000 {
            drop(RunEnd::of(channel.clone()));
        }
        let mut end = RunEnd::of(channel.clone());
        assert_eq!(lock(&channel.waiting).len(), 1, "those who gave up leave no places behind");
        let event =
            |seq| Event { seq, at: Timestamp(seq as i64), kind: EventKind::Ready { step: StepRunId::of(0) } };
        let mut state = RunState { seq: 1, ..RunState::default() };
        channel.committed(&[event(1)], &state);
        assert!(end.reached().now_or_never().is_none());
        assert!(lock(&channel.recent).is_empty(), "events are kept for those who follow them");
        state = RunState { seq: 2, phase: Phase::Complete, ..state };
        channel.committed(&[event(2)], &state);
        assert_eq!(end.reached().now_or_never(), Some(Ended::Here(Box::new(state))));
        assert!(lock(&channel.waiting).is_empty());
        let mut end = RunEnd::of(channel.clone());
        channel.reached(3, false);
        assert!(end.reached().now_or_never().is_none(), "another server has continued the run");
        channel.reached(4, true);
        assert_eq!(end.reached().now_or_never(), Some(Ended::Stored));
        assert!(lock(&channel.waiting).is_empty());
    }
}
