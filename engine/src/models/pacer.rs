//! How fast calls to one provider may start: the configured rate, adapted to the provider's refusals.
//!
//! Invariants:
//! - `requestsPerMinute` is a spacing: calls start one after the other, never as a burst.
//! - Until a provider has answered, it is called carefully: only a few calls may be unanswered at a time, and more of
//!   them the longer nothing is refused. Otherwise a list of a thousand items would be refused a thousand times before
//!   the first refusal arrives.
//! - After a refusal no call starts for as long as the provider asked. Then calls start one after another, at half the
//!   refused rate (multiplicative decrease); each answer raises the rate a little (additive increase), and no more
//!   calls are in flight than the provider had accepted.
//!
//! Nothing here waits or locks: functions take and return times. [`super::limits`] does the waiting.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// How many calls may be unanswered at the beginning.
const CAREFUL: f64 = 4.0;
/// How much each answer raises the limits: while nothing is refused, and after a refusal.
const OPENING: f64 = 1.0 / 8.0;
const REOPENING: f64 = 1.0 / 16.0;

/// The span over which the rate before a refusal is measured. At most `KEPT_STARTS` starts are kept.
const COUNTED: Duration = Duration::from_secs(10);
const KEPT_STARTS: usize = 512;

/// Bounds of the measured rate at a refusal, in calls per second: a single refused call must not slow a provider down
/// to almost nothing.
const LOWEST_REFUSED: f64 = 2.0;
const HIGHEST_REFUSED: f64 = 50.0;
/// The lowest rate after repeated refusals, in calls per second.
const SLOWEST: f64 = 1.0 / 30.0;
/// How many answers raise a halved rate back to its former value.
const ANSWERS_TO_RECOVER: f64 = 8.0;

/// The wait after a refusal without a time to wait: doubled with each consecutive refusal.
const FIRST_HOLD: Duration = Duration::from_secs(1);
const LONGEST_HOLD: Duration = Duration::from_secs(60);
/// Cap on the time that a provider asks to wait.
const LONGEST_ASKED: Duration = Duration::from_secs(60 * 60);

/// A provider that has refused nothing for this long is called at its normal pace again.
const CALM: Duration = Duration::from_secs(120);

pub(super) struct Pacer {
    requests_per_minute: Option<u32>,
    starts: VecDeque<Instant>,
    /// How many calls may be unanswered, while the provider is not slow.
    careful: f64,
    slow: Option<Slow>,
}

/// The effect of the provider's refusals.
struct Slow {
    /// When the rate was last lowered. A refusal of a call that started earlier adds no information.
    lowered_at: Instant,
    /// No call starts before this time.
    until: Instant,
    /// Calls per second.
    rate: f64,
    /// How much an answer adds to the rate.
    gain: f64,
    /// The share of the gap that is added to it, from -0.5 to 0.5, drawn for each call.
    jitter: f64,
    /// How many calls may be unanswered.
    unanswered: f64,
    /// How many calls may be in flight.
    in_flight: f64,
    in_a_row: u32,
    /// Calls refused since the slowdown began.
    refused: u32,
}

/// What the next call waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// Until a call in flight ends or is answered.
    ForCall,
    Until(Instant),
}

impl Pacer {
    pub fn new(requests_per_minute: Option<u32>) -> Self {
        Self { requests_per_minute, starts: VecDeque::new(), careful: CAREFUL, slow: None }
    }

    pub fn set_pace(&mut self, requests_per_minute: Option<u32>) {
        self.requests_per_minute = requests_per_minute;
    }

    /// What the next call must wait for, while `unanswered` of the `in_flight` calls have no answer yet.
    pub fn wait(&mut self, now: Instant, unanswered: usize, in_flight: u32) -> Option<Wait> {
        self.calm_down(now);
        let last = self.starts.back().copied();
        let spacing = self.requests_per_minute.map(|rate| Duration::from_secs(60) / rate.max(1));
        let paced = last.zip(spacing).map(|(last, spacing)| last + spacing);
        let (slowed, most_unanswered) = match &self.slow {
            None => (None, self.careful),
            Some(slow) => {
                if f64::from(in_flight) >= slow.in_flight.floor() {
                    return Some(Wait::ForCall);
                }
                let spaced = last.map_or(slow.until, |last| slow.until.max(last + slow.gap()));
                (Some(spaced), slow.unanswered)
            }
        };
        if let Some(at) = paced.max(slowed).filter(|at| *at > now) {
            return Some(Wait::Until(at));
        }
        (unanswered as f64 >= most_unanswered.floor()).then_some(Wait::ForCall)
    }

    /// A call starts. `random` is from 0 to 1.
    pub fn started(&mut self, now: Instant, random: f64) {
        if self.starts.len() == KEPT_STARTS {
            self.starts.pop_front();
        }
        self.starts.push_back(now);
        if let Some(slow) = &mut self.slow {
            slow.jitter = random - 0.5;
        }
    }

    /// The provider has begun to answer a call that started at `started`.
    pub fn answered(&mut self, started: Instant) {
        match &mut self.slow {
            None => self.careful += OPENING,
            Some(slow) if started > slow.lowered_at => {
                slow.in_a_row = 0;
                slow.rate += slow.gain;
                slow.unanswered += REOPENING;
                slow.in_flight += REOPENING;
            }
            Some(_) => {}
        }
    }

    /// The provider has refused a call that started at `started`, and asked to wait for `asked`. It has accepted
    /// `accepted` of the calls in flight.
    pub fn refused(
        &mut self,
        now: Instant,
        started: Instant,
        asked: Option<Duration>,
        accepted: u32,
        random: f64,
    ) {
        let asked = asked.map(|asked| asked.min(LONGEST_ASKED));
        if let Some(slow) = &mut self.slow {
            slow.refused += 1;
            if started <= slow.lowered_at {
                let until = now + asked.unwrap_or_default();
                slow.until = slow.until.max(until);
                return;
            }
        }
        let (rate, in_a_row, refused) = match &self.slow {
            Some(slow) => (slow.rate, slow.in_a_row + 1, slow.refused),
            None => (self.recent_rate(now).clamp(LOWEST_REFUSED, HIGHEST_REFUSED), 1, 1),
        };
        let hold =
            asked.unwrap_or_else(|| FIRST_HOLD.saturating_mul(1 << (in_a_row - 1).min(16)).min(LONGEST_HOLD));
        let lowered = (rate / 2.0).max(SLOWEST);
        let gap = Duration::from_secs_f64(1.0 / lowered);
        self.careful = CAREFUL;
        self.slow = Some(Slow {
            lowered_at: now,
            // Spread randomly, because other clients of the provider were told the same time.
            until: now + hold + gap.mul_f64(random / 2.0),
            rate: lowered,
            gain: (rate - lowered) / ANSWERS_TO_RECOVER,
            jitter: random - 0.5,
            unanswered: 1.0,
            in_flight: f64::from(accepted.max(1)),
            in_a_row,
            refused,
        });
    }

    /// While the provider is slow: until when no call starts, and how many calls were refused.
    pub fn slowdown(&mut self, now: Instant) -> Option<(Instant, u32)> {
        self.calm_down(now);
        self.slow.as_ref().map(|slow| (slow.until, slow.refused))
    }

    fn calm_down(&mut self, now: Instant) {
        if self.slow.as_ref().is_some_and(|slow| now >= slow.until + CALM) {
            self.slow = None;
        }
    }

    /// Recent calls per second.
    fn recent_rate(&self, now: Instant) -> f64 {
        let recent = self.starts.iter().rev().take_while(|start| now.duration_since(**start) < COUNTED);
        recent.count() as f64 / COUNTED.as_secs_f64()
    }
}

impl Slow {
    fn gap(&self) -> Duration {
        Duration::from_secs_f64((1.0 + self.jitter) / self.rate)
    }
}
