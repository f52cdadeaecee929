//! Prices of models, and the usage of past runs.

use crate::{Error, Result};
use domain::{
    id::{ProjectId, Timestamp},
    key::{ModelName, TemplateKey},
    price::{Price, Rate},
    run::MessageMetadata,
};
use sqlx::{SqliteConnection, SqlitePool, types::Json};

pub async fn all(db: &SqlitePool) -> Result<Vec<(ModelName, Price)>> {
    let rows: Vec<(String, i64, i64)> =
        sqlx::query_as("SELECT model, input, output FROM price ORDER BY model").fetch_all(db).await?;
    let price = |(model, input, output): (String, i64, i64)| {
        let model = ModelName::parse(&model).map_err(Error::internal)?;
        Ok((model, Price { input: Rate(input as u64), output: Rate(output as u64) }))
    };
    rows.into_iter().map(price).collect()
}

pub async fn set(
    tx: &mut SqliteConnection,
    model: &ModelName,
    price: Option<Price>,
    at: Timestamp,
) -> Result<()> {
    let Some(price) = price else {
        sqlx::query("DELETE FROM price WHERE model = $1").bind(model.to_string()).execute(tx).await?;
        return Ok(());
    };
    sqlx::query(
        "INSERT INTO price (model, input, output, updated_at) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (model) DO UPDATE SET input = $2, output = $3, updated_at = $4",
    )
    .bind(model.to_string())
    .bind(price.input.0 as i64)
    .bind(price.output.0 as i64)
    .bind(at.0)
    .execute(tx)
    .await?;
    Ok(())
}

/// The models of all projects' current roles.
pub async fn models_in_use(db: &SqlitePool, limit: u32) -> Result<Vec<ModelName>> {
    let rows: Vec<String> = sqlx::query_scalar(
        "SELECT DISTINCT v.model FROM role r JOIN role_version v ON v.role_id = r.id AND v.version = r.version \
         WHERE r.deleted_at IS NULL ORDER BY v.model LIMIT $1",
    )
    .bind(limit)
    .fetch_all(db)
    .await?;
    // Skips a stored name that is not valid any more: no role could use it today.
    Ok(rows.iter().filter_map(|model| ModelName::parse(model).ok()).collect())
}

/// Usage of the newest completed runs of a template, newest first.
pub async fn completed(
    db: &SqlitePool,
    project: ProjectId,
    template: &TemplateKey,
    limit: u32,
) -> Result<Vec<MessageMetadata>> {
    let rows: Vec<Json<MessageMetadata>> = sqlx::query_scalar(
        "SELECT m.metadata FROM run r JOIN message m ON m.id = r.message_id \
         WHERE r.project_id = $1 AND r.template_key = $2 AND r.status = 'completed' AND m.metadata IS NOT NULL \
         ORDER BY r.number DESC LIMIT $3",
    )
    .bind(project.0)
    .bind(template.as_ref())
    .bind(limit)
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|row| row.0).collect())
}
