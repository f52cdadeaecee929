//! Server functions of comparisons.

use crate::{fault::Fault, run::server::RunPage};
use domain::{
    comparison::{ComparisonSummary, Scores, Verdict},
    id::RunNumber,
    key::{ProjectKey, TemplateKey},
    view::{Page, RunSummary},
};
use leptos::{prelude::*, server_fn::codec::Json};
use serde::{Deserialize, Serialize};

/// The data of a rendered comparison.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Compared {
    /// In the requested order.
    pub runs: Vec<RunPage>,
    pub verdicts: Vec<Verdict>,
    /// The project's change number from which to follow verdicts.
    pub changes: u64,
}

/// The data of the overview: comparisons, recent runs and scores.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Overview {
    pub comparisons: Page<ComparisonSummary>,
    /// The newest runs to choose from, each with the beginning of its input.
    pub runs: Vec<(RunSummary, String)>,
    pub scores: Scores,
    /// The template that the scores are limited to; `None` for all templates.
    pub template: Option<TemplateKey>,
}

#[server(input = Json)]
pub async fn open_comparison(project: ProjectKey, runs: Vec<RunNumber>) -> Result<Compared, Fault> {
    let (engine, user) = crate::session::caller().await?;
    let changes = engine.project_cursor(&user, &project).await?;
    let verdicts = engine.verdicts(&user, &project, &runs).await?;
    let mut pages = Vec::new();
    for run in runs {
        pages.push(crate::run::server::open_run(project.clone(), run).await?);
    }
    Ok(Compared { runs: pages, verdicts, changes })
}

#[server(input = Json)]
pub async fn list_verdicts(project: ProjectKey, runs: Vec<RunNumber>) -> Result<Vec<Verdict>, Fault> {
    let (engine, user) = crate::session::caller().await?;
    Ok(engine.verdicts(&user, &project, &runs).await?)
}

#[server]
pub async fn list_comparisons(
    project: ProjectKey,
    template: Option<TemplateKey>,
    cursor: Option<String>,
) -> Result<Overview, Fault> {
    let (engine, user) = crate::session::caller().await?;
    let comparisons = engine.comparisons(&user, &project, cursor.as_deref()).await?;
    let filter = engine::RunFilter { status: None, template: template.clone() };
    let mut runs = engine.runs(&user, &project, &filter, None).await?.items;
    // Child runs are part of the runs that launched them.
    runs.retain(|run| run.caller.is_none());
    runs.truncate(20);
    let numbers: Vec<_> = runs.iter().map(|run| run.number).collect();
    let inputs = engine.input_lines(&user, &project, &numbers).await?;
    let runs = runs.into_iter().zip(inputs).collect();
    let scores = engine.scores(&user, &project, template.as_ref()).await?;
    Ok(Overview { comparisons, runs, scores, template })
}

/// The difference between the outputs of a step in two runs, as HTML; `None` if they are equal.
#[server]
pub async fn draw_difference(
    project: ProjectKey,
    one: RunNumber,
    other: RunNumber,
    step: String,
) -> Result<Option<String>, Fault> {
    let (engine, user) = crate::session::caller().await?;
    let before = super::difference::output(&engine, &user, &project, one, &step).await?;
    let after = super::difference::output(&engine, &user, &project, other, &step).await?;
    Ok(crate::session::draw(&engine, &user, move || super::difference::drawn(&before, &after)).await?)
}

#[server(input = Json)]
pub async fn give_verdict(
    project: ProjectKey,
    runs: Vec<RunNumber>,
    step: Option<String>,
    winner: Option<RunNumber>,
    note: String,
) -> Result<(), Fault> {
    let (engine, user) = crate::session::caller().await?;
    Ok(engine.judge(&user, &project, engine::VerdictDraft { runs, step, winner, note }).await?)
}

#[server(input = Json)]
pub async fn withdraw_verdict(
    project: ProjectKey,
    runs: Vec<RunNumber>,
    step: Option<String>,
) -> Result<(), Fault> {
    let (engine, user) = crate::session::caller().await?;
    Ok(engine.withdraw_verdict(&user, &project, &runs, step).await?)
}
