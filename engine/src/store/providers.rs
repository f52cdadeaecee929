//! Stored providers, with encrypted keys.

use crate::{Error, Result};
use domain::{
    id::{ProviderId, Timestamp},
    key::ProviderKey,
    provider::ProviderKind,
};
use sqlx::{FromRow, Row, SqliteConnection, SqliteExecutor, SqlitePool, sqlite::SqliteRow};
use uuid::Uuid;

pub struct ProviderRow {
    pub id: ProviderId,
    pub key: ProviderKey,
    pub kind: ProviderKind,
    pub base_url: Option<String>,
    /// Encrypted with `id` as context.
    pub sealed_key: Option<Vec<u8>>,
    pub max_concurrent: Option<u32>,
    pub requests_per_minute: Option<u32>,
}

impl FromRow<'_, SqliteRow> for ProviderRow {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        let decode = |error: Box<dyn std::error::Error + Send + Sync>| sqlx::Error::Decode(error);
        Ok(Self {
            id: ProviderId(row.try_get::<Uuid, _>("id")?),
            key: ProviderKey::parse(row.try_get("key")?).map_err(|error| decode(error.into()))?,
            kind: row
                .try_get::<&str, _>("kind")?
                .parse::<ProviderKind>()
                .map_err(|error| decode(error.into()))?,
            base_url: row.try_get("base_url")?,
            sealed_key: row.try_get("sealed_key")?,
            max_concurrent: row.try_get("max_concurrent")?,
            requests_per_minute: row.try_get("requests_per_minute")?,
        })
    }
}

pub async fn all(db: &SqlitePool) -> Result<Vec<ProviderRow>> {
    Ok(sqlx::query_as("SELECT * FROM provider ORDER BY key").fetch_all(db).await?)
}

pub async fn by_key(db: impl SqliteExecutor<'_>, key: &ProviderKey) -> Result<Option<ProviderRow>> {
    Ok(sqlx::query_as("SELECT * FROM provider WHERE key = $1").bind(key.as_ref()).fetch_optional(db).await?)
}

pub async fn insert(tx: &mut SqliteConnection, row: &ProviderRow, at: Timestamp) -> Result<()> {
    sqlx::query(
        "INSERT INTO provider (id, key, kind, base_url, sealed_key, max_concurrent, requests_per_minute, \
         created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)",
    )
    .bind(row.id.0)
    .bind(row.key.as_ref())
    .bind(row.kind.as_str())
    .bind(&row.base_url)
    .bind(&row.sealed_key)
    .bind(row.max_concurrent)
    .bind(row.requests_per_minute)
    .bind(at.0)
    .execute(tx)
    .await?;
    Ok(())
}

pub async fn update(tx: &mut SqliteConnection, row: &ProviderRow, at: Timestamp) -> Result<()> {
    let done = sqlx::query(
        "UPDATE provider SET kind = $2, base_url = $3, sealed_key = $4, max_concurrent = $5, \
         requests_per_minute = $6, updated_at = $7 WHERE id = $1",
    )
    .bind(row.id.0)
    .bind(row.kind.as_str())
    .bind(&row.base_url)
    .bind(&row.sealed_key)
    .bind(row.max_concurrent)
    .bind(row.requests_per_minute)
    .bind(at.0)
    .execute(tx)
    .await?;
    match done.rows_affected() {
        1 => Ok(()),
        _ => Err(Error::not_found("provider", &row.key)),
    }
}

/// Deletes the provider. False if there was none.
pub async fn delete(tx: &mut SqliteConnection, key: &ProviderKey) -> Result<bool> {
    let done = sqlx::query("DELETE FROM provider WHERE key = $1").bind(key.as_ref()).execute(tx).await?;
    Ok(done.rows_affected() == 1)
}
