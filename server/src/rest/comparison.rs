//! Comparisons of runs: their steps aligned by name, and the verdicts on them.

use super::{
    RunSummary, Time,
    run::{self, StepRun},
};
use domain::{
    comparison::{ComparisonSummary, Verdict},
    id::RunNumber,
    view::{self, RunDetail},
};
use engine::{Engine, Result};
use serde::Serialize;
use std::collections::HashMap;

/// An entry in the list of comparisons.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ComparisonEntry {
    runs: Vec<RunNumber>,
    template: String,
    by: String,
    created_at: Time,
    verdicts: u32,
}

impl From<ComparisonSummary> for ComparisonEntry {
    fn from(summary: ComparisonSummary) -> Self {
        let ComparisonSummary { runs, template, by, created_at, verdicts } = summary;
        Self { runs, template, by, created_at: Time(created_at), verdicts }
    }
}

#[derive(Serialize)]
pub struct VerdictShape {
    step: Option<String>,
    winner: Option<RunNumber>,
    note: String,
    by: String,
    mine: bool,
    at: Time,
}

impl From<Verdict> for VerdictShape {
    fn from(verdict: Verdict) -> Self {
        let Verdict { step, winner, note, by, mine, at } = verdict;
        Self { step, winner, note, by, mine, at: Time(at) }
    }
}

#[derive(Serialize)]
pub struct Comparison {
    runs: Vec<RunSummary>,
    steps: Vec<Aligned>,
    verdicts: Vec<VerdictShape>,
}

/// A step that at least one of the runs has.
#[derive(Serialize)]
struct Aligned {
    name: String,
    /// In the order of the runs; null for a run without this step.
    runs: Vec<Option<StepRun>>,
}

impl Comparison {
    pub async fn load(
        engine: &Engine,
        user: &view::User,
        project: &domain::key::ProjectKey,
        details: Vec<RunDetail>,
        verdicts: Vec<Verdict>,
    ) -> Result<Self> {
        let many = details.len();
        let (mut runs, mut steps) = (Vec::new(), Vec::<Aligned>::new());
        let mut places = HashMap::new();
        for (column, detail) in details.into_iter().enumerate() {
            let found = run::steps(engine, user, project, &detail).await?;
            runs.push(RunSummary::from(detail.summary));
            for step in found {
                let place = *places.entry(step.name.clone()).or_insert_with(|| {
                    let name = step.name.clone();
                    steps.push(Aligned { name, runs: (0..many).map(|_| None).collect() });
                    steps.len() - 1
                });
                steps[place].runs[column] = Some(step);
            }
        }
        Ok(Self { runs, steps, verdicts: verdicts.into_iter().map(VerdictShape::from).collect() })
    }
}
