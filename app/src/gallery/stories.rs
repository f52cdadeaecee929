//! Runs that never ran: logs in the form in which the API gives them, one for each state that a run can be found in.

use crate::load::parse;
use domain::{event::Event, run::RunState};
use serde::Deserialize;

const LOGS: &str = include_str!("stories.json");

pub struct Story {
    pub name: String,
    /// What its log folds to.
    pub state: RunState,
}

#[derive(Deserialize)]
struct Told {
    name: String,
    events: Vec<Event>,
}

pub fn stories() -> Vec<Story> {
    // That they can be read is shown by the test below.
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

    /// A state that is new to the product is to be told here as well.
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
