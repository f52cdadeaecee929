//! How much may be asked of a provider at once and per minute, and the queue of those who wait for it.
//!
//! Slots are given in the order in which they were asked for. Those who wait know their position, so that a page can show
//! it. Both limits may change at any time.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

/// The span of `requestsPerMinute`.
const WINDOW: Duration = Duration::from_secs(60);

/// How often someone who waits hears of their position, at most. Each step of a long queue moves everyone in it.
const REPORT_INTERVAL: Duration = Duration::from_millis(250);

/// The limits of one provider, shared by all its callers. Cheap to clone.
#[derive(Clone)]
pub struct ProviderLimits(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// Tells those who wait that the queue moved.
    moved: watch::Sender<()>,
}

struct State {
    max_concurrent: u32,
    requests_per_minute: Option<u32>,
    in_flight: u32,
    /// When the slots of the last minute were given, oldest first. Kept only under a rate limit.
    given: VecDeque<Instant>,
    queue: VecDeque<Waiter>,
    next_ticket: u64,
    /// A task sleeps until the rate limit lets the next one through.
    alarm_set: bool,
}

struct Waiter {
    /// Tickets rise along the queue.
    ticket: u64,
    grant: oneshot::Sender<Slot>,
}

/// The right to one call. Dropping it gives it back.
pub struct Slot(Arc<Shared>);

impl ProviderLimits {
    /// At most `max_concurrent` calls at once (at least one), and so many begun within any minute.
    pub fn new(max_concurrent: u32, requests_per_minute: Option<u32>) -> Self {
        Self(Arc::new(Shared {
            state: Mutex::new(State {
                max_concurrent: max_concurrent.max(1),
                requests_per_minute,
                in_flight: 0,
                given: VecDeque::new(),
                queue: VecDeque::new(),
                next_ticket: 0,
                alarm_set: false,
            }),
            moved: watch::Sender::new(()),
        }))
    }

    /// Changes the limits. Calls under way go on even if they are now too many.
    pub fn set(&self, max_concurrent: u32, requests_per_minute: Option<u32>) {
        let mut state = self.0.lock();
        state.max_concurrent = max_concurrent.max(1);
        state.requests_per_minute = requests_per_minute;
        drop(state);
        self.0.serve_queue();
    }

    /// A slot, if one is free and nobody waits for it.
    pub fn try_acquire(&self) -> Option<Slot> {
        let mut state = self.0.lock();
        let free = state.queue.is_empty() && state.wait_from(Instant::now()).is_none();
        free.then(|| state.give(&self.0))
    }

    /// A slot, when it is our turn. Dropping the future leaves the queue.
    pub async fn acquire(&self) -> Slot {
        self.acquire_with(|_| ()).await
    }

    /// Like [`acquire`](Self::acquire); `report` hears the position in the queue, from 1, first at once and then when it
    /// has changed, a few times a second at most. It is not called when there is nothing to wait for.
    pub async fn acquire_with(&self, mut report: impl FnMut(usize)) -> Slot {
        if let Some(slot) = self.try_acquire() {
            return slot;
        }
        let mut moved = self.0.moved.subscribe();
        let (grant, mut granted) = oneshot::channel();
        let place = QueuePosition { shared: &self.0, ticket: self.0.enqueue(grant) };
        // What was free may have become so between the two looks.
        self.0.serve_queue();
        let mut reported = None;
        loop {
            if let Some(position) = place.position()
                && reported != Some(position)
            {
                reported = Some(position);
                report(position);
            }
            let news = async {
                tokio::time::sleep(REPORT_INTERVAL).await;
                if moved.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            };
            tokio::select! {
                biased;
                slot = &mut granted => {
                    if let Ok(slot) = slot {
                        return slot;
                    }
                    // The sender lives in the queue, and the queue in `self`: it is dropped only after sending.
                    std::future::pending::<()>().await;
                }
                () = news => {}
            }
        }
    }

    /// Where in the queue someone who asks now would stand, from 1; 0: there is a slot at once.
    pub fn next_position(&self) -> usize {
        let mut state = self.0.lock();
        let free = state.queue.is_empty() && state.wait_from(Instant::now()).is_none();
        if free { 0 } else { state.queue.len() + 1 }
    }

    /// How many wait.
    pub fn queued(&self) -> usize {
        self.0.lock().queue.len()
    }

    /// How many calls are under way.
    pub fn in_flight(&self) -> u32 {
        self.0.lock().in_flight
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.lock().in_flight -= 1;
        self.0.serve_queue();
    }
}

/// A place in the queue, left when dropped.
struct QueuePosition<'a> {
    shared: &'a Arc<Shared>,
    ticket: u64,
}

impl QueuePosition<'_> {
    /// From 1; none once the slot is given.
    fn position(&self) -> Option<usize> {
        self.shared.lock().find(self.ticket).map(|index| index + 1)
    }
}

impl Drop for QueuePosition<'_> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        if let Some(index) = state.find(self.ticket) {
            state.queue.remove(index);
            drop(state);
            self.shared.moved.send_replace(());
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enqueue(&self, grant: oneshot::Sender<Slot>) -> u64 {
        let mut state = self.lock();
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        state.queue.push_back(Waiter { ticket, grant });
        ticket
    }

    /// Gives slots to the head of the queue while there are any.
    fn serve_queue(self: &Arc<Self>) {
        let mut grants = Vec::new();
        let mut state = self.lock();
        let now = Instant::now();
        while !state.queue.is_empty() {
            match state.wait_from(now) {
                None => {
                    let slot = state.give(self);
                    if let Some(waiter) = state.queue.pop_front() {
                        grants.push((waiter.grant, slot));
                    }
                }
                Some(Wait::ForSlot) => break,
                Some(Wait::Until(at)) => {
                    if !state.alarm_set {
                        state.alarm_set = self.set_alarm(at);
                    }
                    break;
                }
            }
        }
        drop(state);
        if grants.is_empty() {
            return;
        }
        for (grant, slot) in grants {
            // Who has just left the queue gives the slot back by dropping it, hence not under the lock.
            drop(grant.send(slot));
        }
        self.moved.send_replace(());
    }

    /// Serves the queue again at that time. False outside a runtime, where nobody waits any more.
    fn set_alarm(self: &Arc<Self>, at: Instant) -> bool {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return false };
        let shared = Arc::downgrade(self);
        runtime.spawn(async move {
            tokio::time::sleep_until(at).await;
            if let Some(shared) = shared.upgrade() {
                shared.lock().alarm_set = false;
                shared.serve_queue();
            }
        });
        true
    }
}

/// What the next one waits for.
enum Wait {
    ForSlot,
    Until(Instant),
}

impl State {
    fn find(&self, ticket: u64) -> Option<usize> {
        self.queue.binary_search_by_key(&ticket, |waiter| waiter.ticket).ok()
    }

    /// Whether the next one must wait now.
    fn wait_from(&mut self, now: Instant) -> Option<Wait> {
        if self.in_flight >= self.max_concurrent {
            return Some(Wait::ForSlot);
        }
        let allowed = self.requests_per_minute? as usize;
        while self.given.front().is_some_and(|&given| now.duration_since(given) >= WINDOW) {
            self.given.pop_front();
        }
        // Of those given within the minute, the one that must grow old before the next may start.
        let decisive = self.given.len().checked_sub(allowed.max(1))?;
        self.given.get(decisive).map(|&given| Wait::Until(given + WINDOW))
    }

    fn give(&mut self, shared: &Arc<Shared>) -> Slot {
        self.in_flight += 1;
        if self.requests_per_minute.is_some() {
            self.given.push_back(Instant::now());
        }
        Slot(shared.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[tokio::test]
    async fn slots_come_back_and_go_to_those_who_waited_longest() {
        let limits = ProviderLimits::new(2, None);
        let first = limits.try_acquire().unwrap();
        let _second = limits.try_acquire().unwrap();
        assert!(limits.try_acquire().is_none());

        let mut third = Box::pin(limits.acquire());
        let mut fourth = Box::pin(limits.acquire());
        assert!(third.as_mut().now_or_never().is_none());
        assert!(fourth.as_mut().now_or_never().is_none());
        assert_eq!((limits.queued(), limits.in_flight()), (2, 2));

        drop(first);
        assert!(fourth.as_mut().now_or_never().is_none(), "the third was first");
        assert!(limits.try_acquire().is_none(), "nobody jumps the queue");
        let third = third.await;
        assert_eq!((limits.queued(), limits.in_flight()), (1, 2));
        drop(third);
        fourth.await;
        assert_eq!((limits.queued(), limits.in_flight()), (0, 1));
    }

    #[tokio::test]
    async fn leaving_the_queue_leaves_no_gap() {
        let limits = ProviderLimits::new(1, None);
        let held = limits.try_acquire().unwrap();
        let mut leaver = Box::pin(limits.acquire());
        let mut stayer = Box::pin(limits.acquire());
        assert!(leaver.as_mut().now_or_never().is_none());
        assert!(stayer.as_mut().now_or_never().is_none());
        drop(leaver);
        assert_eq!(limits.queued(), 1);
        drop(held);
        stayer.await;

        // A slot that was granted but never taken up comes back as well.
        let held = limits.try_acquire().unwrap();
        let mut leaver = Box::pin(limits.acquire());
        assert!(leaver.as_mut().now_or_never().is_none());
        drop(held);
        drop(leaver);
        assert_eq!((limits.queued(), limits.in_flight()), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_wait_hear_their_position() {
        let limits = ProviderLimits::new(1, None);
        let first = limits.try_acquire().unwrap();
        let mut second = Box::pin(limits.acquire());
        assert!(second.as_mut().now_or_never().is_none());
        let mut heard = Vec::new();
        let mut third = Box::pin(limits.acquire_with(|position| heard.push(position)));
        assert!(third.as_mut().now_or_never().is_none());
        drop(first);
        let second = second.await;
        assert!(tokio::time::timeout(REPORT_INTERVAL * 2, third.as_mut()).await.is_err());
        drop(second);
        third.await;
        assert_eq!(heard, [2, 1]);
    }

    #[tokio::test]
    async fn limits_change_while_calls_run() {
        let limits = ProviderLimits::new(1, None);
        let first = limits.try_acquire().unwrap();
        let mut second = Box::pin(limits.acquire());
        assert!(second.as_mut().now_or_never().is_none());
        limits.set(2, None);
        let second = second.await;
        limits.set(1, None);
        drop(first);
        assert!(limits.try_acquire().is_none());
        drop(second);
        assert!(limits.try_acquire().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_minute_holds_so_many_requests() {
        let limits = ProviderLimits::new(100, Some(2));
        let start = Instant::now();
        drop(limits.acquire().await);
        tokio::time::advance(Duration::from_secs(20)).await;
        drop(limits.acquire().await);
        assert!(limits.try_acquire().is_none());
        drop(limits.acquire().await);
        assert_eq!(start.elapsed().as_secs(), 60);
        drop(limits.acquire().await);
        assert_eq!(start.elapsed().as_secs(), 80);
        limits.set(100, None);
        assert!(limits.try_acquire().is_some());
    }
}
