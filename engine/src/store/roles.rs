//! Roles and their versions, as pages and editors see them.

use crate::{Error, Result};
use domain::{
    id::{ProjectId, RoleId, Timestamp, UserId},
    key::{ModelName, RoleKey},
    view::{Role, RoleDraft},
};
use sqlx::{FromRow, SqliteConnection, SqliteExecutor, SqlitePool, types::Json};
use uuid::Uuid;

#[derive(FromRow)]
struct RoleRow {
    id: Uuid,
    key: String,
    version: u32,
    name: String,
    base_prompt: String,
    model: String,
    temperature: Option<f64>,
    max_tokens: Option<u32>,
    tools: Json<Vec<String>>,
    created_at: i64,
    updated_at: i64,
}

impl RoleRow {
    fn read(self) -> Result<(RoleId, Role)> {
        let corrupt = |what: &str| Error::internal(format!("role {}: its {what} cannot be read", self.id));
        let role = Role {
            key: RoleKey::parse(&self.key).map_err(|_| corrupt("key"))?,
            model: ModelName::parse(&self.model).map_err(|_| corrupt("model"))?,
            name: self.name,
            version: self.version,
            base_prompt: self.base_prompt,
            temperature: self.temperature,
            max_tokens: self.max_tokens,
            tools: self.tools.0,
            created_at: Timestamp(self.created_at),
            updated_at: Timestamp(self.updated_at),
        };
        Ok((RoleId(self.id), role))
    }
}

/// The newest version of each role, in order of creation.
pub async fn list(
    db: &SqlitePool,
    project: ProjectId,
    after: RoleId,
    limit: u32,
) -> Result<Vec<(RoleId, Role)>> {
    let rows: Vec<RoleRow> = sqlx::query_as(
        "SELECT r.id, r.key, r.version, v.name, v.base_prompt, v.model, v.temperature, v.max_tokens, v.tools, \
         r.created_at, v.created_at AS updated_at \
         FROM role r JOIN role_version v ON v.role_id = r.id AND v.version = r.version \
         WHERE r.project_id = $1 AND r.deleted_at IS NULL AND r.id > $2 ORDER BY r.id LIMIT $3",
    )
    .bind(project.0)
    .bind(after.0)
    .bind(limit)
    .fetch_all(db)
    .await?;
    rows.into_iter().map(RoleRow::read).collect()
}

/// The newest version of the role.
pub async fn by_key(
    db: impl SqliteExecutor<'_>,
    project: ProjectId,
    key: &RoleKey,
) -> Result<Option<(RoleId, Role)>> {
    let row: Option<RoleRow> = sqlx::query_as(
        "SELECT r.id, r.key, r.version, v.name, v.base_prompt, v.model, v.temperature, v.max_tokens, v.tools, \
         r.created_at, v.created_at AS updated_at \
         FROM role r JOIN role_version v ON v.role_id = r.id AND v.version = r.version \
         WHERE r.project_id = $1 AND r.key = $2 AND r.deleted_at IS NULL",
    )
    .bind(project.0)
    .bind(key.as_ref())
    .fetch_optional(db)
    .await?;
    row.map(RoleRow::read).transpose()
}

pub async fn insert(
    tx: &mut SqliteConnection,
    id: RoleId,
    project: ProjectId,
    key: &RoleKey,
    at: Timestamp,
) -> Result<()> {
    sqlx::query("INSERT INTO role (id, project_id, key, version, created_at) VALUES ($1, $2, $3, 1, $4)")
        .bind(id.0)
        .bind(project.0)
        .bind(key.as_ref())
        .bind(at.0)
        .execute(tx)
        .await?;
    Ok(())
}

pub async fn insert_version(
    tx: &mut SqliteConnection,
    id: RoleId,
    version: u32,
    draft: &RoleDraft,
    by: Option<UserId>,
    at: Timestamp,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO role_version (role_id, version, name, base_prompt, model, temperature, max_tokens, tools, \
         created_by, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(id.0)
    .bind(version)
    .bind(&draft.name)
    .bind(&draft.base_prompt)
    .bind(draft.model.to_string())
    .bind(draft.temperature)
    .bind(draft.max_tokens)
    .bind(Json(&draft.tools))
    .bind(by.map(|user| user.0))
    .bind(at.0)
    .execute(tx)
    .await?;
    Ok(())
}

pub async fn set_version(tx: &mut SqliteConnection, id: RoleId, version: u32) -> Result<()> {
    sqlx::query("UPDATE role SET version = $2 WHERE id = $1").bind(id.0).bind(version).execute(tx).await?;
    Ok(())
}

/// Deletes the role. False if there was none.
pub async fn delete(
    tx: &mut SqliteConnection,
    project: ProjectId,
    key: &RoleKey,
    at: Timestamp,
) -> Result<bool> {
    let done = sqlx::query(
        "UPDATE role SET deleted_at = $3 WHERE project_id = $1 AND key = $2 AND deleted_at IS NULL",
    )
    .bind(project.0)
    .bind(key.as_ref())
    .bind(at.0)
    .execute(tx)
    .await?;
    Ok(done.rows_affected() == 1)
}
