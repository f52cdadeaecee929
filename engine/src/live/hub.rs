//! What is shared between the one who executes a run and those who watch it: a wake-up, and the text of open attempts.

use domain::{
    event::{Delta, Event, SAID_LIMIT, head},
    id::{RunId, StepRunId},
};
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::sync::watch;

/// How many committed events are kept at hand for watchers; one who is further behind reads the log.
const RECENT: usize = 64;
/// How many bytes of ended attempts' texts are kept of a run, for watchers who have not seen their last words; one who is
/// further behind finds them as outputs.
const DONE_BYTES: usize = 256 * 1024;
/// What a text takes beside its bytes, about.
const ENTRY_BYTES: usize = 128;

/// The channels of the runs that somebody executes or watches just now.
#[derive(Default)]
pub(crate) struct Hub {
    channels: Mutex<HashMap<RunId, Weak<RunChannel>>>,
}

impl Hub {
    /// The run's channel; it lives as long as somebody holds it.
    pub fn channel(&self, run: RunId) -> Arc<RunChannel> {
        let mut channels = lock(&self.channels);
        if let Some(channel) = channels.get(&run).and_then(Weak::upgrade) {
            return channel;
        }
        // Dead entries go when the map would grow, so the cost is shared out over insertions.
        if channels.len() == channels.capacity() {
            channels.retain(|_, channel| channel.strong_count() > 0);
        }
        let channel = Arc::new(RunChannel::default());
        channels.insert(run, Arc::downgrade(&channel));
        channel
    }
}

#[derive(Default)]
pub(crate) struct RunChannel {
    wake: watch::Sender<u64>,
    /// The last event that was committed.
    seq: AtomicU64,
    /// The last committed events, while somebody watches: a watcher who keeps up need not read the log.
    recent: Mutex<VecDeque<Event>>,
    texts: Mutex<Texts>,
}

/// The texts of open attempts and of a few that ended last.
#[derive(Default)]
struct Texts {
    of: BTreeMap<StepRunId, LiveText>,
    /// Ended attempts, the oldest first; some may have been followed by another attempt of their step.
    done: VecDeque<(StepRunId, u32)>,
    /// What the ended ones in `of` take.
    done_bytes: usize,
}

impl Texts {
    fn begin(&mut self, step: StepRunId, attempt: u32) {
        let before = self.of.insert(step, LiveText { attempt, text: String::new(), done: false });
        self.done_bytes -= before.filter(|text| text.done).map_or(0, |text| text.bytes());
    }

    /// Keeps the text of an attempt that is over, and as many of those before it as there is room for.
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
        // Steps that were tried again many times leave places without a text.
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

/// How much of an attempt's text a watcher has.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    attempt: u32,
    bytes: usize,
}

impl RunChannel {
    /// What was committed just now.
    pub fn committed(&self, events: &[Event]) {
        let Some(last) = events.last() else { return };
        if self.wake.receiver_count() > 0 {
            let mut recent = lock(&self.recent);
            recent.extend(events.iter().cloned());
            let surplus = recent.len().saturating_sub(RECENT);
            recent.drain(..surplus);
        }
        self.seq.store(last.seq, Ordering::Release);
        self.wake();
    }

    /// The events after `seq`, if they are at hand without a gap.
    pub(super) fn recent(&self, seq: u64) -> Option<Vec<Event>> {
        let recent = lock(&self.recent);
        let from = recent.iter().position(|event| event.seq == seq + 1)?;
        let events: Vec<_> = recent.iter().skip(from).cloned().collect();
        // Events that nobody watched were not kept, so there may be a hole.
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

    /// What the attempt has said by now, as much of it as is kept.
    pub fn said(&self, step: StepRunId, attempt: u32) -> String {
        let texts = lock(&self.texts);
        let live = texts.of.get(&step).filter(|live| live.attempt == attempt);
        live.map(|live| head(&live.text, SAID_LIMIT).to_owned()).unwrap_or_default()
    }

    /// The attempt is over. Its text stays for those who are watching now; nobody else will be given it.
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

    /// The text that a watcher lacks, per step run; `seen` is brought up to it.
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

/// A panic while holding one of these locks leaves plain data behind, which the next holder may use.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

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

    /// What the channel keeps of ended attempts: how many texts, and their bytes.
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
            // The newest of them begins anew: it is no ended one any more.
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
}
