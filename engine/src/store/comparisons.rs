//! Comparisons, the verdicts on them, and their totals.

use crate::{Error, Result};
use domain::{
    comparison::{ComparisonSummary, ModelScore, RoleScore, Score, Scores, Verdict, VersionScore},
    id::{ProjectId, RunNumber, Timestamp, UserId},
    key::TemplateKey,
};
use sqlx::{FromRow, SqliteConnection, SqlitePool};

/// The stored form of the compared runs' numbers: ascending, separated by commas.
pub fn written(runs: &[RunNumber]) -> String {
    runs.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

fn read(runs: &str) -> Vec<RunNumber> {
    runs.split(',').filter_map(|number| number.parse().ok().map(RunNumber)).collect()
}

/// The member who gave the verdict, and its subject.
pub struct VerdictKey<'a> {
    pub project: ProjectId,
    pub runs: &'a str,
    /// Empty: the verdict is on the whole runs.
    pub step: &'a str,
    pub user: UserId,
}

/// A run in a verdict; for a verdict on a step, with the role that executed the step.
pub struct Side {
    pub run: RunNumber,
    pub at_step: String,
    pub template: TemplateKey,
    pub version: u32,
    pub role: Option<String>,
    pub model: Option<String>,
    pub outcome: &'static str,
}

/// Stores the comparison. False if it already exists.
pub async fn insert(
    tx: &mut SqliteConnection,
    project: ProjectId,
    runs: &str,
    template: &str,
    by: &str,
    at: Timestamp,
) -> Result<bool> {
    let done = sqlx::query(
        "INSERT INTO comparison (project_id, runs, template, by_name, created_at) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT DO NOTHING",
    )
    .bind(project.0)
    .bind(runs)
    .bind(template)
    .bind(by)
    .bind(at.0)
    .execute(tx)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Stores the member's verdict in place of an earlier one.
pub async fn judge(
    tx: &mut SqliteConnection,
    key: &VerdictKey<'_>,
    verdict: &Verdict,
    sides: &[Side],
) -> Result<()> {
    withdraw(tx, key).await?;
    sqlx::query(
        "INSERT INTO verdict (project_id, runs, step, user_id, by_name, winner, note, at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(key.project.0)
    .bind(key.runs)
    .bind(key.step)
    .bind(key.user.0)
    .bind(&verdict.by)
    .bind(verdict.winner.map(|winner| winner.0))
    .bind(&verdict.note)
    .bind(verdict.at.0)
    .execute(&mut *tx)
    .await?;
    for side in sides {
        sqlx::query(
            "INSERT INTO verdict_side (project_id, runs, step, user_id, run, at_step, template_key, \
             template_version, role_key, model, outcome) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        )
        .bind(key.project.0)
        .bind(key.runs)
        .bind(key.step)
        .bind(key.user.0)
        .bind(side.run.0)
        .bind(&side.at_step)
        .bind(side.template.as_ref())
        .bind(side.version)
        .bind(&side.role)
        .bind(&side.model)
        .bind(side.outcome)
        .execute(&mut *tx)
        .await?;
    }
    Ok(())
}

/// Deletes the verdict. False if there was none.
pub async fn withdraw(tx: &mut SqliteConnection, key: &VerdictKey<'_>) -> Result<bool> {
    let done =
        sqlx::query("DELETE FROM verdict WHERE project_id = $1 AND runs = $2 AND step = $3 AND user_id = $4")
            .bind(key.project.0)
            .bind(key.runs)
            .bind(key.step)
            .bind(key.user.0)
            .execute(tx)
            .await?;
    Ok(done.rows_affected() > 0)
}

/// All verdicts on these runs, oldest first.
pub async fn verdicts(db: &SqlitePool, project: ProjectId, runs: &str, user: UserId) -> Result<Vec<Verdict>> {
    #[derive(FromRow)]
    struct Row {
        step: String,
        winner: Option<u32>,
        note: String,
        by_name: String,
        mine: bool,
        at: i64,
    }
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT step, winner, note, by_name, user_id = $3 AS mine, at FROM verdict \
         WHERE project_id = $1 AND runs = $2 ORDER BY at, user_id",
    )
    .bind(project.0)
    .bind(runs)
    .bind(user.0)
    .fetch_all(db)
    .await?;
    let verdict = |row: Row| Verdict {
        step: Some(row.step).filter(|step| !step.is_empty()),
        winner: row.winner.map(RunNumber),
        note: row.note,
        by: row.by_name,
        mine: row.mine,
        at: Timestamp(row.at),
    };
    Ok(rows.into_iter().map(verdict).collect())
}

/// Comparisons below `before`, newest first.
pub async fn list(
    db: &SqlitePool,
    project: ProjectId,
    before: (i64, String),
    limit: u32,
) -> Result<Vec<ComparisonSummary>> {
    let rows: Vec<(String, String, String, i64, u32)> = sqlx::query_as(
        "SELECT c.runs, c.template, c.by_name, c.created_at, \
         (SELECT count(*) FROM verdict v WHERE v.project_id = c.project_id AND v.runs = c.runs) \
         FROM comparison c WHERE c.project_id = $1 AND (c.created_at, c.runs) < ($2, $3) \
         ORDER BY c.created_at DESC, c.runs DESC LIMIT $4",
    )
    .bind(project.0)
    .bind(before.0)
    .bind(before.1)
    .bind(limit)
    .fetch_all(db)
    .await?;
    let summary = |(runs, template, by, at, verdicts): (String, _, _, i64, _)| ComparisonSummary {
        runs: read(&runs),
        template,
        by,
        created_at: Timestamp(at),
        verdicts,
    };
    Ok(rows.into_iter().map(summary).collect())
}

/// Counts of won, lost and tied verdicts per group of sides.
const TALLY: &str = "sum(CASE WHEN outcome = 'won' THEN 1 ELSE 0 END) AS won, \
     sum(CASE WHEN outcome = 'lost' THEN 1 ELSE 0 END) AS lost, \
     sum(CASE WHEN outcome = 'same' THEN 1 ELSE 0 END) AS same";

/// The totals of a project's verdicts: by role, by model, by version.
pub(super) fn totals() -> [String; 3] {
    let given = "WHERE project_id = $1 AND ($2 IS NULL OR template_key = $2)";
    let roles = format!(
        "SELECT template_key, at_step, role_key AS what, {TALLY} FROM verdict_side {given} AND role_key IS NOT NULL \
         GROUP BY template_key, at_step, role_key ORDER BY template_key, at_step, won DESC, role_key LIMIT $3"
    );
    // A verdict on whole runs has one side per step in which the roles differ, but counts once per model.
    let models = format!(
        "SELECT model AS what, {TALLY} FROM (SELECT DISTINCT runs, step, user_id, run, model, outcome \
         FROM verdict_side {given} AND model IS NOT NULL) GROUP BY model ORDER BY won DESC, model LIMIT $3"
    );
    // A verdict on whole runs also has a side for the whole itself. Only that side counts for the version; a side of a
    // step names the version that produced the step's output.
    let versions = format!(
        "SELECT template_key, template_version, {TALLY} FROM (SELECT DISTINCT runs, step, user_id, run, \
         template_key, template_version, outcome FROM verdict_side {given} AND at_step = step) \
         GROUP BY template_key, template_version ORDER BY template_key, template_version DESC LIMIT $3"
    );
    [roles, models, versions]
}

/// The totals, at most `limit` of each kind, of one template or of all.
pub async fn scores(
    db: &SqlitePool,
    project: ProjectId,
    template: Option<&TemplateKey>,
    limit: u32,
) -> Result<Scores> {
    #[derive(FromRow)]
    struct Row {
        #[sqlx(default)]
        template_key: String,
        #[sqlx(default)]
        template_version: u32,
        #[sqlx(default)]
        at_step: String,
        #[sqlx(default)]
        what: String,
        won: u32,
        lost: u32,
        same: u32,
    }
    let grouped = async |sql: String| -> Result<Vec<Row>> {
        let query = sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(project.0);
        Ok(query.bind(template.map(|key| key.to_string())).bind(limit).fetch_all(db).await?)
    };
    let [roles, models, versions] = totals().map(grouped);
    let score = |row: &Row| Score { won: row.won, lost: row.lost, same: row.same };
    let key = |row: &Row| {
        let unread = |_| Error::internal("a verdict names a template that cannot be read");
        TemplateKey::parse(&row.template_key).map_err(unread)
    };
    let role = |row: Row| {
        Ok(RoleScore { template: key(&row)?, score: score(&row), step: row.at_step, role: row.what })
    };
    let version = |row: Row| {
        Ok(VersionScore { template: key(&row)?, version: row.template_version, score: score(&row) })
    };
    let model = |row: Row| ModelScore { score: score(&row), model: row.what };
    Ok(Scores {
        roles: roles.await?.into_iter().map(role).collect::<Result<_>>()?,
        models: models.await?.into_iter().map(model).collect(),
        versions: versions.await?.into_iter().map(version).collect::<Result<_>>()?,
    })
}
