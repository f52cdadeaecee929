//! What comparisons ask of the server.

use crate::{fault::Fault, run::server::RunPage};
use domain::{
    comparison::{ComparisonSummary, Scores, Verdict},
    id::RunNumber,
    key::{ProjectKey, TemplateKey},
    view::{Page, RunSummary},
};
use leptos::{prelude::*, server_fn::codec::Json};
use serde::{Deserialize, Serialize};

/// Runs side by side, as they were drawn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Compared {
    /// In the order that was asked for.
    pub runs: Vec<RunPage>,
    pub verdicts: Vec<Verdict>,
    /// The project's change from which to keep the verdicts current.
    pub changes: u64,
}

/// What there is to compare, and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Overview {
    pub comparisons: Page<ComparisonSummary>,
    /// The newest ones, to choose from, each with how its input begins.
    pub runs: Vec<(RunSummary, String)>,
    pub scores: Scores,
    /// What the scores are of; none: all templates.
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
    // Those that were called by others are parts of them.
    runs.retain(|run| run.caller.is_none());
    runs.truncate(20);
    let numbers: Vec<_> = runs.iter().map(|run| run.number).collect();
    let inputs = engine.input_lines(&user, &project, &numbers).await?;
    let runs = runs.into_iter().zip(inputs).collect();
    let scores = engine.scores(&user, &project, template.as_ref()).await?;
    Ok(Overview { comparisons, runs, scores, template })
}

/// What the output of a step in one run has and the other has not, as HTML; none when they are the same.
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
    Ok(super::difference::drawn(&before, &after))
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
