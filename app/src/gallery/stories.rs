//! Sample runs: logs in the API's format, one for each state that a run can have.

use crate::load::parse;
use domain::{event::Event, run::RunState};
use serde::Deserialize;

const LOGS: &str = include_str!("stories.json");

pub struct Story {
    pub name: String,
    /// The fold of the story's log.
    pub state: RunState,
}

#[derive(Deserialize)]
struct Told {
    name: String,
    events: Vec<Event>,
}

pub fn stories() -> Vec<Story> {
    // The test below checks that the logs are valid.
    let told: Vec<Told> = parse(LOGS).unwrap_or_default();
    let fold = |Told { name, events }| {
        let mut state = RunState::default();
        for event in &events {
            state.apply(event);
        }
        Story { name, state }
    };
    told.into_iter().map(fold).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        run::{run_status, step_status},
        ui::Status,
    };

    #[test]
    fn every_log_is_whole() {
        let told: Vec<Told> = serde_json::from_str(LOGS).unwrap();
        for Told { name, events } in told {
            let mut state = RunState::default();
            for event in &events {
                state.apply(event);
                assert_eq!(state.seq, event.seq, "{name}: {event:?} was not taken");
            }
        }
    }

    /// A new state of the product needs a story here.
    #[test]
    fn every_status_is_told() {
        let stories = stories();
        let runs = stories.iter().map(|story| run_status(&story.state));
        let steps =
            stories.iter().flat_map(|story| story.state.step_runs().map(|(_, step)| step_status(step)));
        let told: Vec<_> = runs.chain(steps).collect();
        let missing: Vec<_> = Status::ALL.into_iter().filter(|status| !told.contains(status)).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}
