//! The queue of one provider: how many calls may be in flight, when the next may start, and which is next.
//!
//! Invariant: slots are granted in the order of requests, except that a rate-limited call goes before calls that the
//! provider has not seen yet. A waiting caller is woken once, when it gets its slot. The limits may change at any time.
//! The [`Pacer`] decides how fast calls start; it learns about them through the client that [`Slot::watch`] wraps.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::client::ModelClient;
use super::pacer::{Pacer, Wait};
use super::watched::Watched;

/// A call that the provider has not refused within this time counts as accepted: models may think for minutes before
/// their first word, but refusals come at once.
const ACCEPTED_AFTER: Duration = Duration::from_secs(1);

/// The limits of one provider, shared by all its callers. Cheap to clone.
#[derive(Clone)]
pub struct ProviderLimits(Arc<Shared>);

pub(super) struct Shared {
    state: Mutex<State>,
}

struct State {
    max_concurrent: u32,
    in_flight: u32,
    /// The start time of each call that the provider has neither answered nor refused, by slot number.
    unanswered: BTreeMap<u64, Instant>,
    pacer: Pacer,
    /// Sorted by [`Waiter::rank`].
    queue: VecDeque<Waiter>,
    /// The number of the next slot, or of the next place in the queue.
    next_number: u64,
    /// When a task will serve the queue again.
    alarm: Option<Instant>,
}

struct Waiter {
    rank: QueueRank,
    grant: oneshot::Sender<Slot>,
}

/// Sorts by priority, then by the order of requests.
type QueueRank = (Priority, u64);

/// The priority of a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// The provider has rate-limited the call, which has waited once already.
    Refused,
    #[default]
    New,
}

/// The state of a provider that is slowed down because it rate-limited calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slowdown {
    /// How long no call starts yet; zero: calls start one after another.
    pub resumes_in: Duration,
    /// Calls that were refused since the slowdown began.
    pub refused: u32,
}

/// The right to one call. Dropping it releases it.
pub struct Slot {
    shared: Arc<Shared>,
    number: u64,
    granted_at: Instant,
}

impl Slot {
    /// Wraps the client for the one call of this slot, so that the queue learns whether the provider accepts or refuses
    /// it.
    pub fn watch(&self, client: Arc<dyn ModelClient>) -> Arc<dyn ModelClient> {
        Arc::new(Watched {
            client,
            shared: self.shared.clone(),
            number: self.number,
            started: self.granted_at,
        })
    }
}

impl ProviderLimits {
    /// At most `max_concurrent` calls in flight (at least one), evenly spaced so that at most `requests_per_minute`
    /// start within a minute.
    pub fn new(max_concurrent: u32, requests_per_minute: Option<u32>) -> Self {
        Self(Arc::new(Shared {
            state: Mutex::new(State {
                max_concurrent: max_concurrent.max(1),
                in_flight: 0,
                unanswered: BTreeMap::new(),
                pacer: Pacer::new(requests_per_minute),
                queue: VecDeque::new(),
                next_number: 0,
                alarm: None,
            }),
        }))
    }

    /// Changes the limits. Calls in flight continue even if they exceed the new limit.
    pub fn set(&self, max_concurrent: u32, requests_per_minute: Option<u32>) {
        let mut state = self.0.lock();
        state.max_concurrent = max_concurrent.max(1);
        state.pacer.set_pace(requests_per_minute);
        drop(state);
        self.0.serve_queue();
    }

    /// A slot, if one is free and no call waits for it.
    pub fn try_acquire(&self) -> Option<Slot> {
        let mut state = self.0.lock();
        let now = Instant::now();
        let free = state.queue.is_empty() && state.wait_from(now).is_none();
        free.then(|| state.give(&self.0, now))
    }

    /// Waits for a slot. Dropping the future leaves the queue.
    pub async fn acquire(&self) -> Slot {
        self.acquire_as(Priority::New).await
    }

    /// Like [`acquire`](Self::acquire), for a call that may have been refused before.
    pub async fn acquire_as(&self, priority: Priority) -> Slot {
        if let Some(slot) = self.try_acquire() {
            return slot;
        }
        let (grant, granted) = oneshot::channel();
        let _place = QueuePosition { shared: &self.0, rank: self.0.enqueue(priority, grant) };
        // A slot may have become free between the two checks.
        self.0.serve_queue();
        match granted.await {
            Ok(slot) => slot,
            // The sender lives in the queue, and the queue in `self`: it is dropped only after sending.
            Err(_) => std::future::pending().await,
        }
    }

    /// The position that a new call would get in the queue, from 1; 0 if a slot is free.
    pub fn next_position(&self) -> usize {
        let mut state = self.0.lock();
        let free = state.queue.is_empty() && state.wait_from(Instant::now()).is_none();
        if free { 0 } else { state.queue.len() + 1 }
    }

    /// How many calls wait.
    pub fn queued(&self) -> usize {
        self.0.lock().queue.len()
    }

    /// How many calls are in flight.
    pub fn in_flight(&self) -> u32 {
        self.0.lock().in_flight
    }

    /// The slowdown of the provider, if there is one.
    pub fn slowdown(&self) -> Option<Slowdown> {
        let now = Instant::now();
        let (until, refused) = self.0.lock().pacer.slowdown(now)?;
        Some(Slowdown { resumes_in: until.saturating_duration_since(now), refused })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.in_flight -= 1;
        state.unanswered.remove(&self.number);
        drop(state);
        self.shared.serve_queue();
    }
}

/// A place in the queue; dropping it leaves the queue.
struct QueuePosition<'a> {
    shared: &'a Arc<Shared>,
    rank: QueueRank,
}

impl Drop for QueuePosition<'_> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        if let Some(index) = state.find(self.rank) {
            state.queue.remove(index);
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The provider has begun to answer the call of this slot.
    pub fn answered(self: &Arc<Self>, number: u64, started: Instant) {
        let mut state = self.lock();
        state.unanswered.remove(&number);
        state.pacer.answered(started);
        drop(state);
        self.serve_queue();
    }

    /// The provider has rate-limited the call of this slot.
    pub fn refused(&self, number: u64, started: Instant, asked: Option<Duration>) {
        let mut state = self.lock();
        state.unanswered.remove(&number);
        // The refused call still holds its slot.
        let accepted = state.in_flight.saturating_sub(1 + state.unanswered.len() as u32);
        state.pacer.refused(Instant::now(), started, asked, accepted, rand::random());
    }

    fn enqueue(&self, priority: Priority, grant: oneshot::Sender<Slot>) -> QueueRank {
        let mut state = self.lock();
        let rank = (priority, state.number());
        let index = state.queue.partition_point(|waiter| waiter.rank < rank);
        state.queue.insert(index, Waiter { rank, grant });
        rank
    }

    /// Grants slots to the head of the queue while there are any.
    fn serve_queue(self: &Arc<Self>) {
        let mut grants = Vec::new();
        let mut state = self.lock();
        let now = Instant::now();
        while !state.queue.is_empty() {
            match state.wait_from(now) {
                None => {
                    let slot = state.give(self, now);
                    if let Some(waiter) = state.queue.pop_front() {
                        grants.push((waiter.grant, slot));
                    }
                }
                Some(Wait::ForCall) => break,
                Some(Wait::Until(at)) => {
                    if state.alarm.is_none_or(|alarm| at < alarm) && self.set_alarm(at) {
                        state.alarm = Some(at);
                    }
                    break;
                }
            }
        }
        drop(state);
        for (grant, slot) in grants {
            // If the caller has just left the queue, the slot is released when it is dropped, which takes the lock.
            drop(grant.send(slot));
        }
    }

    /// Serves the queue again at this time. False outside a runtime, where there can be no waiters.
    fn set_alarm(self: &Arc<Self>, at: Instant) -> bool {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return false };
        let shared = Arc::downgrade(self);
        runtime.spawn(async move {
            tokio::time::sleep_until(at).await;
            if let Some(shared) = shared.upgrade() {
                let mut state = shared.lock();
                // An earlier alarm may have been set since.
                if state.alarm.is_some_and(|alarm| alarm <= at) {
                    state.alarm = None;
                }
                drop(state);
                shared.serve_queue();
            }
        });
        true
    }
}

impl State {
    fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    fn find(&self, rank: QueueRank) -> Option<usize> {
        self.queue.binary_search_by_key(&rank, |waiter| waiter.rank).ok()
    }

    /// What the next call must wait for, if anything.
    fn wait_from(&mut self, now: Instant) -> Option<Wait> {
        if self.in_flight >= self.max_concurrent {
            return Some(Wait::ForCall);
        }
        while let Some(oldest) = self.unanswered.first_entry()
            && now.duration_since(*oldest.get()) >= ACCEPTED_AFTER
        {
            oldest.remove();
        }
        let wait = self.pacer.wait(now, self.unanswered.len(), self.in_flight)?;
        let oldest = self.unanswered.first_key_value().map(|(_, granted)| *granted + ACCEPTED_AFTER);
        Some(match (wait, oldest) {
            (Wait::ForCall, Some(accepted)) => Wait::Until(accepted),
            (wait, _) => wait,
        })
    }

    fn give(&mut self, shared: &Arc<Shared>, now: Instant) -> Slot {
        let number = self.number();
        self.in_flight += 1;
        self.unanswered.insert(number, now);
        self.pacer.started(now, rand::random());
        Slot { shared: shared.clone(), number, granted_at: now }
    }
}

#[cfg(test)]
mod tests;
