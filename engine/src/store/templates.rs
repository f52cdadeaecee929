//! Templates and their versions, as pages and editors see them.

use crate::{Error, Result, store, templates::Document};
use domain::{
    id::{ProjectId, TemplateId, Timestamp, UserId},
    key::TemplateKey,
    template::Template,
    view::{TemplateSummary, TemplateVersionInfo},
};
use sqlx::{FromRow, SqliteConnection, SqliteExecutor, SqlitePool, types::Json};
use uuid::Uuid;

#[derive(FromRow)]
struct SummaryRow {
    id: Uuid,
    key: String,
    name: String,
    description: Option<String>,
    version: u32,
    steps: u32,
    runs: u32,
    updated_at: i64,
    updated_by: String,
}

/// The newest version of each template below `before`, most recently changed first.
pub async fn list(
    db: &SqlitePool,
    project: ProjectId,
    before: (i64, Uuid),
    limit: u32,
) -> Result<Vec<(TemplateId, TemplateSummary)>> {
    let rows: Vec<SummaryRow> = sqlx::query_as(
        "SELECT t.id, t.key, v.name, v.description, t.version, v.steps, t.updated_at, \
         coalesce(u.name, '') AS updated_by, \
         (SELECT coalesce(sum(n.runs), 0) FROM template_use n WHERE n.template_id = t.id) AS runs \
         FROM template t JOIN template_version v ON v.template_id = t.id AND v.version = t.version \
         LEFT JOIN \"user\" u ON u.id = v.created_by \
         WHERE t.project_id = $1 AND t.deleted_at IS NULL AND (t.updated_at, t.id) < ($2, $3) \
         ORDER BY t.updated_at DESC, t.id DESC LIMIT $4",
    )
    .bind(project.0)
    .bind(before.0)
    .bind(before.1)
    .bind(limit)
    .fetch_all(db)
    .await?;
    rows.into_iter()
        .map(|row| {
            let summary = TemplateSummary {
                key: TemplateKey::parse(&row.key).map_err(Error::internal)?,
                name: row.name,
                description: row.description,
                version: row.version,
                steps: row.steps,
                runs: row.runs,
                updated_at: Timestamp(row.updated_at),
                updated_by: row.updated_by,
            };
            Ok((TemplateId(row.id), summary))
        })
        .collect()
}

/// The template's id and the number of its newest version.
pub async fn by_key(
    db: impl SqliteExecutor<'_>,
    project: ProjectId,
    key: &TemplateKey,
) -> Result<Option<(TemplateId, u32)>> {
    let row: Option<(Uuid, u32)> = sqlx::query_as(
        "SELECT id, version FROM template WHERE project_id = $1 AND key = $2 AND deleted_at IS NULL",
    )
    .bind(project.0)
    .bind(key.as_ref())
    .fetch_optional(db)
    .await?;
    Ok(row.map(|(id, version)| (TemplateId(id), version)))
}

pub async fn version(db: &SqlitePool, id: TemplateId, version: u32) -> Result<Option<(Template, String)>> {
    let row: Option<(Json<Template>, String)> = sqlx::query_as(
        "SELECT document, source FROM template_version WHERE template_id = $1 AND version = $2",
    )
    .bind(id.0)
    .bind(version)
    .fetch_optional(db)
    .await?;
    Ok(row.map(|(document, source)| (document.0, source)))
}

pub async fn source(tx: &mut SqliteConnection, id: TemplateId, version: u32) -> Result<Option<String>> {
    Ok(sqlx::query_scalar("SELECT source FROM template_version WHERE template_id = $1 AND version = $2")
        .bind(id.0)
        .bind(version)
        .fetch_optional(tx)
        .await?)
}

/// The newest `limit` versions, newest first.
pub async fn versions(db: &SqlitePool, id: TemplateId, limit: u32) -> Result<Vec<TemplateVersionInfo>> {
    let rows: Vec<(u32, i64, String, u32)> = sqlx::query_as(
        "SELECT v.version, v.created_at, coalesce(u.name, ''), coalesce(n.runs, 0) \
         FROM template_version v LEFT JOIN \"user\" u ON u.id = v.created_by \
         LEFT JOIN template_use n ON n.template_id = v.template_id AND n.version = v.version \
         WHERE v.template_id = $1 ORDER BY v.version DESC LIMIT $2",
    )
    .bind(id.0)
    .bind(limit)
    .fetch_all(db)
    .await?;
    let info = |(version, at, by, runs)| TemplateVersionInfo { version, created_at: Timestamp(at), by, runs };
    Ok(rows.into_iter().map(info).collect())
}

/// How many runs all its versions have.
pub async fn runs(db: &SqlitePool, id: TemplateId) -> Result<u32> {
    Ok(sqlx::query_scalar("SELECT coalesce(sum(runs), 0) FROM template_use WHERE template_id = $1")
        .bind(id.0)
        .fetch_one(db)
        .await?)
}

/// Stores a new template with its version 1.
pub async fn insert(
    tx: &mut SqliteConnection,
    project: ProjectId,
    document: &Document,
    by: Option<UserId>,
) -> Result<TemplateId> {
    let id = TemplateId(store::mint());
    sqlx::query("INSERT INTO template (id, project_id, key, version, created_at) VALUES ($1, $2, $3, 1, $4)")
        .bind(id.0)
        .bind(project.0)
        .bind(document.template.key.as_ref())
        .bind(store::now().0)
        .execute(&mut *tx)
        .await?;
    insert_version(tx, id, 1, document, by).await?;
    Ok(id)
}

/// Stores the template's next version, which becomes the newest.
pub async fn insert_version(
    tx: &mut SqliteConnection,
    id: TemplateId,
    version: u32,
    document: &Document,
    by: Option<UserId>,
) -> Result<()> {
    let at = store::now();
    sqlx::query("UPDATE template SET version = $2, updated_at = $3 WHERE id = $1")
        .bind(id.0)
        .bind(version)
        .bind(at.0)
        .execute(&mut *tx)
        .await?;
    sqlx::query(
        "INSERT INTO template_version (template_id, version, name, description, steps, document, source, \
         created_by, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(id.0)
    .bind(version)
    .bind(&document.template.name)
    .bind(&document.template.description)
    .bind(document.template.steps.len() as u32)
    .bind(Json(&document.template))
    .bind(&document.source)
    .bind(by.map(|user| user.0))
    .bind(at.0)
    .execute(tx)
    .await?;
    Ok(())
}

/// Deletes the template. False if there was none.
pub async fn delete(
    tx: &mut SqliteConnection,
    project: ProjectId,
    key: &TemplateKey,
    at: Timestamp,
) -> Result<bool> {
    let done = sqlx::query(
        "UPDATE template SET deleted_at = $3 WHERE project_id = $1 AND key = $2 AND deleted_at IS NULL",
    )
    .bind(project.0)
    .bind(key.as_ref())
    .bind(at.0)
    .execute(tx)
    .await?;
    Ok(done.rows_affected() == 1)
}
