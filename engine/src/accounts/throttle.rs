//! Limits on failed sign-ins. Kept in memory: a restart resets them.
//!
//! | counted | limit | applies to |
//! |---|---|---|
//! | an account from one place | 10 | everybody |
//! | an account from all other places | 100 | people who have not signed in to it from there before |
//! | a place, on any account | 50 | the same |
//!
//! This bounds guesses of one password, and tries of one password on all accounts. A stranger who knows an e-mail
//! cannot lock its owner out: at places where the owner has signed in before, the owner shares no limit with other
//! people.

use crate::{Error, Result};
use domain::id::UserId;
use moka::sync::Cache;
use std::{
    collections::VecDeque,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

const WINDOW: Duration = Duration::from_secs(15 * 60);
const PER_ACCOUNT_AND_PLACE: usize = 10;
const PER_ACCOUNT: usize = 100;
const PER_PLACE: usize = 50;
/// How many counters and known places are remembered; beyond that the least used are forgotten.
const REMEMBERED: u64 = 100_000;
/// How long a place from which an account's owner has signed in is remembered.
const KNOWN_FOR: Duration = Duration::from_secs(90 * 24 * 60 * 60);

type Failures = Arc<Mutex<VecDeque<Instant>>>;

pub(super) struct Throttle {
    failures: Cache<Counted, Failures>,
    /// The places from which each account's owner has signed in.
    known: Cache<Counted, ()>,
    /// Held while an attempt is admitted, so that concurrent attempts count each other.
    admitting: Mutex<()>,
}

/// The subject of a counter. E-mails are in lower case.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Counted {
    AccountAndPlace(String, String),
    Account(String),
    Place(String),
}

/// The origin of a password attempt.
#[derive(Clone, Copy)]
pub(super) enum Origin<'a> {
    /// A person at this address.
    Peer(&'a str),
    /// A person who is signed in as this user.
    Session(UserId),
}

/// An attempt in progress. It counts as failed until it is known to have succeeded, so concurrency yields no extra
/// attempts.
pub(super) struct Attempt {
    here: Counted,
    known: bool,
    counted: Vec<Failures>,
    at: Instant,
}

impl Throttle {
    pub fn new() -> Self {
        Self {
            failures: Cache::builder().max_capacity(REMEMBERED).time_to_idle(WINDOW).build(),
            known: Cache::builder().max_capacity(REMEMBERED).time_to_idle(KNOWN_FOR).build(),
            admitting: Mutex::new(()),
        }
    }

    /// # Errors
    /// `Throttled` after too many recent failures.
    pub fn begin(&self, email: &str, origin: Origin<'_>, now: Instant) -> Result<Attempt> {
        let email = email.to_lowercase();
        let place = match origin {
            Origin::Peer(peer) => place(peer),
            Origin::Session(user) => format!("session of {user}"),
        };
        let here = Counted::AccountAndPlace(email.clone(), place.clone());
        // `get` counts as use and keeps the entry from expiring; `contains_key` does not.
        let known = matches!(origin, Origin::Session(_)) || self.known.get(&here).is_some();
        let mut limits = vec![(here.clone(), PER_ACCOUNT_AND_PLACE)];
        if !known {
            limits.push((Counted::Account(email), PER_ACCOUNT));
            limits.push((Counted::Place(place), PER_PLACE));
        }
        let _admitting = lock(&self.admitting);
        // Rejected attempts create no counters: otherwise a stranger could fill the memory and evict other counters.
        let waits =
            limits.iter().filter_map(|(counted, limit)| wait(&self.failures.get(counted)?, *limit, now));
        if let Some(wait) = waits.max() {
            return Err(Error::Throttled { retry_after_seconds: wait.as_secs().max(1) });
        }
        let counted: Vec<_> = limits
            .into_iter()
            .map(|(counted, _)| self.failures.get_with(counted, Failures::default))
            .collect();
        for failures in &counted {
            lock(failures).push_back(now);
        }
        Ok(Attempt { here, known, counted, at: now })
    }

    /// Resets the account's failures at this place and removes this attempt's counts; from now on the place is known.
    pub fn succeeded(&self, attempt: Attempt) {
        self.failures.invalidate(&attempt.here);
        if !attempt.known {
            self.known.insert(attempt.here.clone(), ());
        }
        self.withdrawn(attempt);
    }

    /// Removes the attempt's counts: no comparison took place.
    pub fn withdrawn(&self, attempt: Attempt) {
        for failures in &attempt.counted {
            let mut failures = lock(failures);
            if let Some(index) = failures.iter().position(|at| *at == attempt.at) {
                failures.remove(index);
            }
        }
    }
}

/// The place of an address. An IPv6 /64 network counts as one place, because its owner has 2^64 addresses.
fn place(peer: &str) -> String {
    match peer.parse::<IpAddr>().map(|address| address.to_canonical()) {
        Ok(IpAddr::V6(address)) => {
            let network = address.to_bits() & !u128::from(u64::MAX);
            format!("{}/64", Ipv6Addr::from_bits(network))
        }
        Ok(address) => address.to_string(),
        Err(_) => peer.to_owned(),
    }
}

/// How long to wait before the next attempt; `None`: no wait.
fn wait(failures: &Failures, limit: usize, now: Instant) -> Option<Duration> {
    let mut failures = lock(failures);
    while failures.front().is_some_and(|at| now.saturating_duration_since(*at) >= WINDOW) {
        failures.pop_front();
    }
    let oldest = failures.len().checked_sub(limit).and_then(|index| failures.get(index))?;
    Some((*oldest + WINDOW).saturating_duration_since(now))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn try_at(throttle: &Throttle, email: &str, peer: &str, now: Instant) -> Result<Attempt> {
        throttle.begin(email, Origin::Peer(peer), now)
    }

    #[test]
    fn ten_failures_close_the_door_there_for_a_quarter_of_an_hour() {
        let (throttle, start) = (Throttle::new(), Instant::now());
        for second in 0..10 {
            try_at(&throttle, "a@example.org", "peer", start + Duration::from_secs(second)).unwrap();
        }
        let later = start + Duration::from_secs(60);
        let refused = try_at(&throttle, "A@Example.org", "peer", later).err().unwrap();
        assert!(matches!(refused, Error::Throttled { retry_after_seconds: 840 }), "{refused}");
        assert_eq!(refused.to_string(), "too many failed attempts; try again in 14 minutes");
        try_at(&throttle, "a@example.org", "elsewhere", later).unwrap();
        try_at(&throttle, "b@example.org", "peer", later).unwrap();
        try_at(&throttle, "a@example.org", "peer", start + WINDOW).unwrap();
        assert!(try_at(&throttle, "a@example.org", "peer", start + WINDOW).is_err());
    }

    #[test]
    fn an_account_that_many_guess_at_is_open_to_its_owner_where_they_were_before() {
        let (throttle, now) = (Throttle::new(), Instant::now());
        let owner = try_at(&throttle, "a@example.org", "home", now).unwrap();
        throttle.succeeded(owner);
        for guess in 0..PER_ACCOUNT {
            try_at(&throttle, "a@example.org", &format!("10.0.0.{}", guess / 10), now).unwrap();
        }
        assert!(try_at(&throttle, "a@example.org", "elsewhere", now).is_err(), "guesses are bounded in all");
        // Fifty failures on other accounts block their common place for strangers, but not for the owner.
        for person in 0..PER_PLACE {
            try_at(&throttle, &format!("x{person}@example.org"), "home", now).unwrap();
        }
        assert!(try_at(&throttle, "one-more@example.org", "home", now).is_err());
        for _ in 0..2 * PER_ACCOUNT_AND_PLACE {
            throttle.succeeded(try_at(&throttle, "a@example.org", "home", now).unwrap());
        }
        let session = Origin::Session(UserId(uuid::Uuid::nil()));
        assert!(throttle.begin("a@example.org", session, now).is_ok(), "who is signed in is no stranger");
        // At a known place, too, ten guesses are allowed and not more.
        for _ in 0..PER_ACCOUNT_AND_PLACE {
            try_at(&throttle, "a@example.org", "home", now).unwrap();
        }
        assert!(try_at(&throttle, "a@example.org", "home", now).is_err());
    }

    #[test]
    fn a_place_may_fail_fifty_times_and_successes_do_not_count() {
        let (throttle, now) = (Throttle::new(), Instant::now());
        for person in 0..200 {
            let email = format!("good{person}@example.org");
            throttle.succeeded(try_at(&throttle, &email, "peer", now).unwrap());
        }
        for person in 0..50 {
            try_at(&throttle, &format!("bad{person}@example.org"), "peer", now).unwrap();
        }
        assert!(try_at(&throttle, "one-more@example.org", "peer", now).is_err());
        let other = try_at(&throttle, "one-more@example.org", "other", now).unwrap();
        throttle.withdrawn(other);
    }

    #[test]
    fn refusals_are_not_counted_of_anybody() {
        let (throttle, now) = (Throttle::new(), Instant::now());
        for person in 0..PER_PLACE {
            try_at(&throttle, &format!("x{person}@example.org"), "peer", now).unwrap();
        }
        throttle.failures.run_pending_tasks();
        let counts = throttle.failures.entry_count();
        for person in 0..1_000 {
            assert!(try_at(&throttle, &format!("y{person}@example.org"), "peer", now).is_err());
        }
        throttle.failures.run_pending_tasks();
        assert_eq!(throttle.failures.entry_count(), counts);
    }

    #[test]
    fn attempts_that_come_at_once_share_the_limit() {
        let (throttle, now) = (Throttle::new(), Instant::now());
        let admitted = std::sync::atomic::AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..PER_ACCOUNT_AND_PLACE {
                        if try_at(&throttle, "a@example.org", "peer", now).is_ok() {
                            admitted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        assert_eq!(admitted.into_inner(), PER_ACCOUNT_AND_PLACE);
    }

    #[test]
    fn a_network_of_one_person_is_one_place() {
        assert_eq!(place("2001:db8:1:2::1"), place("2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert_ne!(place("2001:db8:1:2::1"), place("2001:db8:1:3::1"));
        assert_eq!(place("::ffff:192.0.2.1"), "192.0.2.1");
        assert_ne!(place("192.0.2.1"), place("192.0.2.2"));
        assert_eq!(place("unknown"), "unknown");
    }

    #[test]
    fn a_success_forgets_the_failures_before_it() {
        let (throttle, now) = (Throttle::new(), Instant::now());
        for _ in 0..5 {
            for _ in 0..9 {
                try_at(&throttle, "a@example.org", "peer", now).unwrap();
            }
            throttle.succeeded(try_at(&throttle, "a@example.org", "peer", now).unwrap());
        }
    }
}
