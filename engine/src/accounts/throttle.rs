//! How often a sign-in may fail: per e-mail, so that nobody's password is guessed, and per peer, so that nobody tries
//! one password on everybody. Kept in memory: a restart forgets it.

use crate::{Error, Result};
use moka::sync::Cache;
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

const WINDOW: Duration = Duration::from_secs(15 * 60);
const PER_EMAIL: usize = 10;
const PER_PEER: usize = 50;
/// How many e-mails and peers are remembered; beyond it the least used are forgotten.
const REMEMBERED: u64 = 100_000;

type Failures = Arc<Mutex<VecDeque<Instant>>>;

pub(super) struct Throttle {
    /// By `e:` and the e-mail or `p:` and the peer.
    failures: Cache<String, Failures>,
}

/// A try that has begun. It counts as failed until it is known to have succeeded, so that many at once get no more.
pub(super) struct Attempt {
    email: String,
    peer: Failures,
    at: Instant,
}

impl Throttle {
    pub fn new() -> Self {
        Self { failures: Cache::builder().max_capacity(REMEMBERED).time_to_idle(WINDOW).build() }
    }

    /// # Errors
    /// `Throttled` when there were too many failures of late.
    pub fn begin(&self, email: &str, peer: &str, now: Instant) -> Result<Attempt> {
        let email = format!("e:{}", email.to_lowercase());
        let failures = |key| self.failures.get_with(key, Failures::default);
        let (by_email, by_peer) = (failures(email.clone()), failures(format!("p:{peer}")));
        let wait = wait(&by_email, PER_EMAIL, now).max(wait(&by_peer, PER_PEER, now));
        if let Some(wait) = wait {
            return Err(Error::Throttled { retry_after_seconds: wait.as_secs().max(1) });
        }
        for failures in [&by_email, &by_peer] {
            lock(failures).push_back(now);
        }
        Ok(Attempt { email, peer: by_peer, at: now })
    }

    /// Forgets the failures of the e-mail, and that this attempt counted against the peer.
    pub fn succeeded(&self, attempt: Attempt) {
        self.failures.invalidate(&attempt.email);
        let mut peer = lock(&attempt.peer);
        if let Some(index) = peer.iter().position(|at| *at == attempt.at) {
            peer.remove(index);
        }
    }
}

/// How long until one more may be tried; none: now.
fn wait(failures: &Failures, limit: usize, now: Instant) -> Option<Duration> {
    let mut failures = lock(failures);
    while failures.front().is_some_and(|at| now.saturating_duration_since(*at) >= WINDOW) {
        failures.pop_front();
    }
    let oldest = failures.len().checked_sub(limit).and_then(|index| failures.get(index))?;
    Some((*oldest + WINDOW).saturating_duration_since(now))
}

fn lock(failures: &Failures) -> std::sync::MutexGuard<'_, VecDeque<Instant>> {
    failures.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_failures_close_the_door_for_a_quarter_of_an_hour() {
        let (throttle, start) = (Throttle::new(), Instant::now());
        for second in 0..10 {
            throttle.begin("a@example.org", "peer", start + Duration::from_secs(second)).unwrap();
        }
        let later = start + Duration::from_secs(60);
        let refused = throttle.begin("A@Example.org", "elsewhere", later).err().unwrap();
        assert!(matches!(refused, Error::Throttled { retry_after_seconds: 840 }), "{refused}");
        assert_eq!(refused.to_string(), "too many failed attempts; try again in 14 minutes");
        throttle.begin("b@example.org", "peer", later).unwrap();
        throttle.begin("a@example.org", "peer", start + WINDOW).unwrap();
        assert!(throttle.begin("a@example.org", "peer", start + WINDOW).is_err());
    }

    #[test]
    fn a_peer_may_fail_fifty_times_and_successes_do_not_count() {
        let (throttle, now) = (Throttle::new(), Instant::now());
        for person in 0..200 {
            let attempt = throttle.begin(&format!("good{person}@example.org"), "peer", now).unwrap();
            throttle.succeeded(attempt);
        }
        for person in 0..50 {
            throttle.begin(&format!("bad{person}@example.org"), "peer", now).unwrap();
        }
        assert!(throttle.begin("one-more@example.org", "peer", now).is_err());
        assert!(throttle.begin("one-more@example.org", "other", now).is_ok());
    }

    #[test]
    fn a_success_forgets_the_failures_before_it() {
        let (throttle, now) = (Throttle::new(), Instant::now());
        for _ in 0..5 {
            for _ in 0..9 {
                throttle.begin("a@example.org", "peer", now).unwrap();
            }
            let attempt = throttle.begin("a@example.org", "peer", now).unwrap();
            throttle.succeeded(attempt);
        }
    }
}
