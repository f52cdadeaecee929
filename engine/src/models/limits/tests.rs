//! The queue in virtual time, with a provider that rate-limits.

use super::*;
use crate::models::{FinishReason, ModelError, ModelEvent, ModelRequest, ModelStream};
use domain::error::ErrorClass;
use futures::future::BoxFuture;
use futures::task::{ArcWake, waker};
use futures::{FutureExt, StreamExt, stream};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

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

    // A slot that was granted but never taken is released, too.
    let held = limits.try_acquire().unwrap();
    let mut leaver = Box::pin(limits.acquire());
    assert!(leaver.as_mut().now_or_never().is_none());
    drop(held);
    drop(leaver);
    assert_eq!((limits.queued(), limits.in_flight()), (0, 0));
}

/// Counts how often a task is woken.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl ArcWake for Wakes {
    fn wake_by_ref(wakes: &Arc<Self>) {
        wakes.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn poll((slot, wakes): &mut (Pin<Box<impl Future<Output = Slot>>>, Arc<Wakes>)) -> Poll<Slot> {
    slot.as_mut().poll(&mut Context::from_waker(&waker(wakes.clone())))
}

/// A queue of thousands moves with each call that ends; only the caller that gets the slot is woken.
#[tokio::test]
async fn a_waiting_caller_is_woken_once() {
    let limits = ProviderLimits::new(1, None);
    let mut held = limits.try_acquire().unwrap();
    let mut waiting: Vec<_> =
        (0..100).map(|_| (Box::pin(limits.acquire()), Arc::new(Wakes::default()))).collect();
    assert!(waiting.iter_mut().all(|waiter| poll(waiter).is_pending()));
    for next in 0..100 {
        drop(held);
        let Poll::Ready(slot) = poll(&mut waiting[next]) else { panic!("{next} has its slot") };
        held = slot;
        let woken: Vec<_> = waiting.iter().map(|(_, wakes)| wakes.0.load(Ordering::Relaxed)).collect();
        assert_eq!(woken, [vec![1; next + 1], vec![0; 99 - next]].concat());
    }
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

/// A rate is a spacing: not even the first calls of a minute start together.
#[tokio::test(start_paused = true)]
async fn requests_per_minute_are_spaced_evenly() {
    let limits = ProviderLimits::new(100, Some(2));
    let start = Instant::now();
    drop(limits.acquire().await);
    tokio::time::advance(Duration::from_secs(20)).await;
    assert!(limits.try_acquire().is_none());
    drop(limits.acquire().await);
    assert_eq!(start.elapsed().as_secs(), 30);
    drop(limits.acquire().await);
    assert_eq!(start.elapsed().as_secs(), 60);
    // Unused calls are not saved up.
    tokio::time::advance(Duration::from_secs(120)).await;
    drop(limits.acquire().await);
    assert!(limits.try_acquire().is_none());
    limits.set(100, None);
    assert!(limits.try_acquire().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_refused_comes_before_new_ones() {
    let limits = ProviderLimits::new(1, None);
    let held = limits.try_acquire().unwrap();
    let mut new = Box::pin(limits.acquire());
    assert!(new.as_mut().now_or_never().is_none());
    let mut again = Box::pin(limits.acquire_as(Priority::Refused));
    assert!(again.as_mut().now_or_never().is_none());
    drop(held);
    assert!(new.as_mut().now_or_never().is_none());
    drop(again.await);
    new.await;
}

/// How a test provider refuses calls.
#[derive(Clone, Copy, Debug)]
enum Refusing {
    /// Refuses more than this many calls at once, without a time to wait.
    AtOnce(usize),
    /// Refuses more than this many calls per minute of the clock, with the time until the next minute.
    PerMinute(usize),
    /// A token bucket of this size with this many tokens per second, with the time until the next token.
    Bucket(f64, f64),
}

/// A provider that takes 100 ms until it refuses or begins to answer.
struct Provider {
    refusing: Refusing,
    /// Duration of an answer.
    takes: Duration,
    log: Mutex<Log>,
    began: Instant,
}

#[derive(Default)]
struct Log {
    at_once: usize,
    per_minute: BTreeMap<u64, usize>,
    tokens: f64,
    refilled: Option<Instant>,
    /// When each call arrived, and whether it was refused.
    calls: Vec<(Instant, bool)>,
}

const LATENCY: Duration = Duration::from_millis(100);

impl Provider {
    fn new(refusing: Refusing, takes: Duration) -> Arc<Self> {
        let tokens = if let Refusing::Bucket(burst, _) = refusing { burst } else { 0.0 };
        let log = Mutex::new(Log { tokens, ..Log::default() });
        Arc::new(Self { refusing, takes, log, began: Instant::now() })
    }

    /// Counts a call; the error says how long to wait.
    fn take(&self) -> Result<(), Option<Duration>> {
        let mut log = self.log.lock().unwrap();
        let now = Instant::now();
        let verdict = match self.refusing {
            Refusing::AtOnce(most) if log.at_once >= most => Err(None),
            Refusing::AtOnce(_) => Ok(()),
            Refusing::PerMinute(most) => {
                let since = now - self.began;
                let minute = log.per_minute.entry(since.as_secs() / 60).or_default();
                *minute += 1;
                let rest = Duration::from_secs(60 * (since.as_secs() / 60 + 1)) - since;
                if *minute > most { Err(Some(rest)) } else { Ok(()) }
            }
            Refusing::Bucket(burst, rate) => {
                let since = log.refilled.map_or(0.0, |at| (now - at).as_secs_f64());
                log.tokens = (log.tokens + since * rate).min(burst);
                log.refilled = Some(now);
                if log.tokens < 1.0 {
                    Err(Some(Duration::from_secs_f64((1.0 - log.tokens) / rate)))
                } else {
                    log.tokens -= 1.0;
                    Ok(())
                }
            }
        };
        log.calls.push((now, verdict.is_err()));
        if verdict.is_ok() {
            log.at_once += 1;
        }
        verdict
    }
}

struct Client(Arc<Provider>);

impl ModelClient for Client {
    fn stream(&self, _: ModelRequest) -> BoxFuture<'static, Result<ModelStream, ModelError>> {
        let provider = self.0.clone();
        let answer = async move {
            let taken = provider.take();
            tokio::time::sleep(LATENCY).await;
            if let Err(wait) = taken {
                let error = ModelError::new(ErrorClass::RateLimit, "slow down").with_retry_after(wait);
                return stream::iter(vec![Err(error)]).boxed();
            }
            let rest = async move {
                tokio::time::sleep(provider.takes).await;
                provider.log.lock().unwrap().at_once -= 1;
                Ok(ModelEvent::Finish(FinishReason::Stop))
            };
            stream::iter(vec![Ok(ModelEvent::Alive)]).chain(stream::once(rest)).boxed()
        };
        async move { Ok(stream::once(answer).flatten().boxed()) }.boxed()
    }

    fn list_models(&self) -> BoxFuture<'static, Result<Vec<String>, ModelError>> {
        unreachable!("nobody asks")
    }
}

/// Starts this many calls at the same moment, each repeated until it is answered. Returns the number of refusals and
/// the duration.
async fn call_all(limits: &ProviderLimits, provider: &Arc<Provider>, calls: usize) -> (usize, Duration) {
    let began = Instant::now();
    let calls = (0..calls).map(|_| async {
        let (mut priority, mut refused) = (Priority::New, 0);
        loop {
            let slot = limits.acquire_as(priority).await;
            let client = slot.watch(Arc::new(Client(provider.clone())));
            let answer = client.stream(ModelRequest::new("m", "go")).await.unwrap();
            let last = answer.collect::<Vec<_>>().await.pop().unwrap();
            if last.is_ok() {
                return refused;
            }
            (priority, refused) = (Priority::Refused, refused + 1);
        }
    });
    let refused = futures::future::join_all(calls).await.into_iter().sum();
    (refused, began.elapsed())
}

/// Sixty calls to a provider that refuses, in different ways, calls that come too fast.
#[tokio::test(start_paused = true)]
async fn few_of_sixty_calls_are_refused() {
    let (short, long) = (Duration::from_millis(50), Duration::from_secs(10));
    for (refusing, takes, most_refused, longest) in [
        (Refusing::AtOnce(1), short, 12, 60),
        (Refusing::AtOnce(5), long, 12, 240),
        (Refusing::PerMinute(20), short, 12, 180),
        (Refusing::PerMinute(20), long, 12, 180),
        (Refusing::Bucket(5.0, 1.0), short, 12, 120),
        (Refusing::Bucket(10.0, 10.0), short, 12, 60),
    ] {
        let limits = ProviderLimits::new(1_000, None);
        let provider = Provider::new(refusing, takes);
        let (refused, took) = call_all(&limits, &provider, 60).await;

        assert!(refused < most_refused, "{refusing:?}: {refused} calls were refused");
        assert!(took.as_secs() <= longest, "{refusing:?}: it took {took:?}");
        assert_eq!((limits.in_flight(), limits.queued()), (0, 0));
    }
}

/// No call starts while the provider asks to wait; then calls start one after another.
#[tokio::test(start_paused = true)]
async fn after_a_refusal_the_whole_queue_holds_and_goes_on_one_by_one() {
    let limits = ProviderLimits::new(1_000, None);
    let provider = Provider::new(Refusing::PerMinute(6), Duration::from_millis(10));
    call_all(&limits, &provider, 12).await;
    let log = provider.log.lock().unwrap();
    let first = log.calls.iter().position(|(_, refused)| *refused).unwrap();
    let told = log.calls[first].0 + LATENCY;
    let after: Vec<_> = log.calls.iter().filter(|(at, _)| *at > told).map(|(at, _)| *at).collect();
    let next_minute = provider.began + Duration::from_secs(60);
    assert!(after.iter().all(|at| *at >= next_minute), "a call went while the queue was held");
    let gaps: Vec<_> = after.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(
        gaps.len() >= 5 && gaps.iter().all(|gap| *gap >= LATENCY),
        "two calls were on their way at once: {gaps:?}"
    );
    let distinct: std::collections::BTreeSet<_> = gaps.iter().collect();
    assert!(distinct.len() > 1, "there is no jitter: {gaps:?}");
}

/// While a slowdown lasts, pages can show it; after a while without a refusal it ends.
#[tokio::test(start_paused = true)]
async fn a_slowdown_is_visible_and_ends() {
    let limits = ProviderLimits::new(1_000, None);
    assert_eq!(limits.slowdown(), None);
    let provider = Provider::new(Refusing::PerMinute(1), Duration::from_millis(10));
    let call = call_all(&limits, &provider, 2);
    let look = async {
        tokio::time::sleep(Duration::from_secs(10)).await;
        let slowdown = limits.slowdown().expect("it is slowed down");
        assert_eq!(slowdown.refused, 1);
        assert!((49..52).contains(&slowdown.resumes_in.as_secs()), "{slowdown:?}");
        assert_eq!((limits.queued(), limits.next_position()), (1, 2));
    };
    tokio::join!(call, look);
    assert_eq!(limits.slowdown().unwrap().resumes_in, Duration::ZERO);
    tokio::time::advance(Duration::from_secs(130)).await;
    assert_eq!(limits.slowdown(), None);
}

/// A provider that refuses nothing soon gets all calls, however slowly it answers.
#[tokio::test(start_paused = true)]
async fn a_provider_that_refuses_nothing_is_not_held_up_for_long() {
    let limits = ProviderLimits::new(1_000, None);
    let provider = Provider::new(Refusing::AtOnce(usize::MAX), Duration::from_secs(30));
    let (refused, took) = call_all(&limits, &provider, 1_000).await;

    assert_eq!(refused, 0);
    assert!(took < Duration::from_secs(35), "{took:?}");
    let silent = ProviderLimits::new(1_000, None);
    let began = Instant::now();
    let mut held = Vec::new();
    for _ in 0..12 {
        held.push(silent.acquire().await);
    }
    assert!(began.elapsed() <= Duration::from_secs(2), "{:?}", began.elapsed());
}
