//! Progress of a project's live runs, read from the metadata of their messages (DESIGN section 4). It lags at most one
//! second, does not depend on the length of the logs, and loads no run into memory.

use super::{
    runs::RunRow,
    sqlite::json::{self, LiveStep},
};
use crate::Result;
use domain::{
    id::{ProjectId, Timestamp},
    run::StepStatus,
    view::{LiveRunSummary, Outcomes, StepCounts},
};
use sqlx::SqlitePool;

/// The live runs of the project, newest first.
pub async fn live(db: &SqlitePool, project: ProjectId, limit: u32) -> Result<Vec<LiveRunSummary>> {
    let rows = json::live_runs(db, project, limit).await?;
    rows.into_iter().map(|(row, steps)| read(&row, &steps)).collect()
}

fn read(row: &RunRow, steps: &[LiveStep]) -> Result<LiveRunSummary> {
    let mut counts = StepCounts { total: steps.len() as u32, ..StepCounts::default() };
    for (_, status, _) in steps {
        match status {
            StepStatus::Completed | StepStatus::Skipped => counts.done += 1,
            StepStatus::Running => counts.running += 1,
            StepStatus::Waiting => counts.waiting += 1,
            StepStatus::Failed | StepStatus::Cancelled => counts.failed += 1,
            StepStatus::Pending | StepStatus::Ready => {}
        }
    }
    // The current step: a running one first, then one that waits for a person, then the next one to start.
    let order = [StepStatus::Running, StepStatus::Waiting, StepStatus::Ready, StepStatus::Pending];
    let current = order.into_iter().find_map(|wanted| steps.iter().find(|(_, status, _)| *status == wanted));
    Ok(LiveRunSummary {
        run: row.summary()?,
        steps: counts,
        step: current.map(|(name, _, _)| name.clone()),
        role: current.and_then(|(_, _, role)| role.clone()),
    })
}

/// How many runs have ended since `since`, by outcome.
pub async fn outcomes(db: &SqlitePool, project: ProjectId, since: Timestamp) -> Result<Outcomes> {
    let rows: Vec<(String, u32)> = sqlx::query_as(
        "SELECT status, count(*) FROM run WHERE project_id = $1 AND status IN ('completed', 'failed', 'cancelled') \
         AND finished_at IS NOT NULL AND finished_at >= $2 GROUP BY status",
    )
    .bind(project.0)
    .bind(since.0)
    .fetch_all(db)
    .await?;
    let count =
        |wanted: &str| rows.iter().find(|(status, _)| status == wanted).map_or(0, |(_, count)| *count);
    Ok(Outcomes { completed: count("completed"), failed: count("failed"), cancelled: count("cancelled") })
}
