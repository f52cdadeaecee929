//! Named assignments of roles.

use crate::Result;
use domain::{
    id::{TemplateId, Timestamp},
    key::RoleKey,
    view::Preset,
};
use sqlx::{SqliteConnection, SqlitePool, types::Json};
use std::collections::BTreeMap;

/// The template's presets, by name.
pub async fn list(db: &SqlitePool, template: TemplateId, limit: u32) -> Result<Vec<Preset>> {
    type Row = (String, Json<BTreeMap<String, RoleKey>>, String);
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT name, roles, by_name FROM preset WHERE template_id = $1 ORDER BY name LIMIT $2",
    )
    .bind(template.0)
    .bind(limit)
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|(name, roles, by)| Preset { name, roles: roles.0, by }).collect())
}

pub async fn count(tx: &mut SqliteConnection, template: TemplateId) -> Result<u32> {
    let count = sqlx::query_scalar("SELECT count(*) FROM preset WHERE template_id = $1");
    Ok(count.bind(template.0).fetch_one(tx).await?)
}

/// Stores the preset. False if the name is taken and `replace` is false.
pub async fn save(
    tx: &mut SqliteConnection,
    template: TemplateId,
    preset: &Preset,
    replace: bool,
    at: Timestamp,
) -> Result<bool> {
    let done = sqlx::query(
        "INSERT INTO preset (template_id, name, roles, by_name, updated_at) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (template_id, name) DO UPDATE SET roles = $3, by_name = $4, updated_at = $5 WHERE $6",
    )
    .bind(template.0)
    .bind(&preset.name)
    .bind(Json(&preset.roles))
    .bind(&preset.by)
    .bind(at.0)
    .bind(replace)
    .execute(tx)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Deletes the preset. False if there is none of that name.
pub async fn delete(tx: &mut SqliteConnection, template: TemplateId, name: &str) -> Result<bool> {
    let done = sqlx::query("DELETE FROM preset WHERE template_id = $1 AND name = $2")
        .bind(template.0)
        .bind(name)
        .execute(tx)
        .await?;
    Ok(done.rows_affected() > 0)
}
