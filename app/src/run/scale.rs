//! The time scale of a timeline, on which stretches without work are shortened to breaks, so that an approval that
//! took a night does not shrink every step to a hairline; and the critical path of a run.

use domain::{
    id::Timestamp,
    run::{RunState, StepState},
};

/// Width of a bar in its own units; the drawing stretches to the available width.
pub const WIDTH: u64 = 1000;
/// The drawn length of a break is the working time divided by this.
const BREAK: u64 = 20;
/// Shorter pauses are drawn in full length, in milliseconds.
const SHORTEST: u64 = 10_000;

/// A stretch without work, in milliseconds since the run's start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Idle {
    pub from: u64,
    pub to: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scale {
    pub idle: Vec<Idle>,
    /// The drawn length of a break.
    short: u64,
    /// The run's length, and its drawn length.
    whole: u64,
    drawn: u64,
}

impl Scale {
    /// The scale of a run that has lasted `whole` milliseconds so far.
    pub fn of(state: &RunState, whole: u64) -> Self {
        let whole = whole.max(1);
        let mut work = Vec::new();
        for step in &state.steps {
            worked(step, state.acknowledged_at, whole, &mut work);
            for item in step.item_runs() {
                worked(item, state.acknowledged_at, whole, &mut work);
            }
        }
        work.sort_unstable();
        let mut idle = Vec::new();
        let mut at = 0;
        for (from, to) in work {
            if from >= at + SHORTEST {
                idle.push(Idle { from: at, to: from });
            }
            at = at.max(to);
        }
        if whole >= at + SHORTEST {
            idle.push(Idle { from: at, to: whole });
        }
        let rested: u64 = idle.iter().map(|idle| idle.to - idle.from).sum();
        let short = ((whole - rested) / BREAK).max(1);
        // A break that would save little is not shortened, nor is a run that only waited.
        idle.retain(|idle| rested < whole && idle.to - idle.from > 4 * short);
        let rested: u64 = idle.iter().map(|idle| idle.to - idle.from).sum();
        let drawn = whole - rested + short * idle.len() as u64;
        Self { idle, short, whole, drawn: drawn.max(1) }
    }

    /// The drawn position of a time in milliseconds since the run's start, in units of [`WIDTH`].
    pub fn x(&self, at: u64) -> u64 {
        let at = at.min(self.whole);
        let mut drawn = at;
        for idle in self.idle.iter().take_while(|idle| idle.from < at) {
            let length = idle.to - idle.from;
            let passed = at.min(idle.to) - idle.from;
            drawn = drawn - passed + self.short * passed / length;
        }
        drawn * WIDTH / self.drawn
    }

    /// Total duration of the shortened stretches.
    pub fn rested(&self) -> u64 {
        self.idle.iter().map(|idle| idle.to - idle.from).sum()
    }
}

/// Collects the times in which a step was worked on. Waiting for a person does not count.
fn worked(step: &StepState, begin: Timestamp, whole: u64, work: &mut Vec<(u64, u64)>) {
    work.extend(step.attempts.iter().map(|attempt| {
        let to = attempt.finished_at().map_or(whole, |at| at.since(begin));
        (attempt.started_at.since(begin).min(whole), to.min(whole))
    }));
}

/// The steps that determined the run's length, by index, in order: the step that ended last, its dependency that ended
/// last, and so on.
pub fn critical_path(state: &RunState) -> Vec<usize> {
    let ended = |place: &usize| state.steps.get(*place).and_then(StepState::finished_at);
    let last = (0..state.steps.len()).filter(|place| ended(place).is_some()).max_by_key(ended);
    let mut path: Vec<usize> = last.into_iter().collect();
    while let Some(place) = path.last() {
        let before = state.plan.steps.get(*place).into_iter().flat_map(|step| &step.depends_on);
        let before = before.map(|place| *place as usize).filter(|place| ended(place).is_some());
        match before.max_by_key(ended) {
            // A plan has no cycles; this guards against an invalid log.
            Some(place) if path.len() < state.steps.len() => path.push(place),
            _ => break,
        }
    }
    path.sort_unstable();
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::sync::Arc;

    const HOUR: i64 = 3_600_000;

    /// A state with steps of these working times, each with the listed dependencies.
    fn state(steps: &[(&[u32], i64, i64)]) -> RunState {
        let attempt = |from: i64, to: i64| {
            json!({"number": 1, "owner": "00000000-0000-7000-8000-000000000000", "startedAt": from,
                   "end": {"at": to, "outcome": "finished"}})
        };
        let mut state = RunState::default();
        let plan: Vec<_> = steps
            .iter()
            .enumerate()
            .map(|(place, (after, ..))| json!({"name": format!("S{place}"), "dependsOn": after}))
            .collect();
        state.plan = Arc::new(serde_json::from_value(json!({ "steps": plan })).expect("it is a plan"));
        state.steps = steps
            .iter()
            .map(|(_, from, to)| {
                let step = json!({"status": "completed", "attempts": [attempt(*from, *to)]});
                serde_json::from_value(step).expect("it is a step")
            })
            .collect();
        state
    }

    #[test]
    fn a_night_of_waiting_is_a_short_break() {
        let state = state(&[(&[], 0, 10_000), (&[0], 10 * HOUR, 10 * HOUR + 10_000)]);
        let whole = 10 * HOUR as u64 + 10_000;
        let scale = Scale::of(&state, whole);
        assert_eq!(scale.idle, [Idle { from: 10_000, to: 10 * HOUR as u64 }]);
        assert_eq!(scale.rested(), 10 * HOUR as u64 - 10_000);
        // Two parts of ten seconds each, and a break of a twentieth of both.
        assert_eq!((scale.x(0), scale.x(10_000), scale.x(whole)), (0, 476, WIDTH));
        assert_eq!(scale.x(10 * HOUR as u64), 523);
        assert!((476..523).contains(&scale.x(5 * HOUR as u64)));
    }

    #[test]
    fn short_pauses_and_runs_that_only_wait_are_drawn_as_they_were() {
        let pause = Scale::of(&state(&[(&[], 0, 10_000), (&[0], 15_000, 20_000)]), 20_000);
        assert_eq!((pause.idle.len(), pause.x(10_000)), (0, WIDTH / 2));
        let waits = Scale::of(&RunState::default(), HOUR as u64);
        assert_eq!((waits.idle.len(), waits.x(HOUR as u64 / 2)), (0, WIDTH / 2));
    }

    #[test]
    fn the_critical_path_is_what_the_end_waited_for() {
        let state = state(&[(&[], 0, 5), (&[], 0, 9), (&[0, 1], 9, 12), (&[0], 5, 8), (&[2, 3], 12, 20)]);
        assert_eq!(critical_path(&state), [1, 2, 4]);
        assert!(critical_path(&RunState::default()).is_empty());
    }
}
