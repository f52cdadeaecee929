//! Users, sessions, API tokens and the first-run link.

use crate::{Result, User, secrets::TokenDigest};
use domain::{
    id::{Timestamp, TokenId, UserId},
    view::ApiToken,
};
use sqlx::{FromRow, SqliteConnection, SqliteExecutor, SqlitePool};
use uuid::Uuid;

#[derive(FromRow)]
struct UserRow {
    id: Uuid,
    email: String,
    name: String,
    admin: bool,
}

impl From<UserRow> for User {
    fn from(row: UserRow) -> Self {
        Self { id: UserId(row.id), email: row.email, name: row.name, admin: row.admin }
    }
}

#[derive(FromRow)]
struct OwnerRow {
    #[sqlx(flatten)]
    user: UserRow,
    expires_at: i64,
}

pub async fn insert_user(tx: &mut SqliteConnection, user: &User, hash: &str, at: Timestamp) -> Result<()> {
    sqlx::query(
        "INSERT INTO \"user\" (id, email, name, password_hash, admin, created_at) VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(user.id.0)
    .bind(&user.email)
    .bind(&user.name)
    .bind(hash)
    .bind(user.admin)
    .bind(at.0)
    .execute(tx)
    .await?;
    Ok(())
}

pub async fn user_by_email(db: impl SqliteExecutor<'_>, email: &str) -> Result<Option<User>> {
    let row: Option<UserRow> = sqlx::query_as("SELECT id, email, name, admin FROM \"user\" WHERE email = $1")
        .bind(email)
        .fetch_optional(db)
        .await?;
    Ok(row.map(User::from))
}

pub async fn users(db: &SqlitePool, after: UserId, limit: u32) -> Result<Vec<User>> {
    let rows: Vec<UserRow> =
        sqlx::query_as("SELECT id, email, name, admin FROM \"user\" WHERE id > $1 ORDER BY id LIMIT $2")
            .bind(after.0)
            .bind(limit)
            .fetch_all(db)
            .await?;
    Ok(rows.into_iter().map(User::from).collect())
}

pub async fn any_admin(db: impl SqliteExecutor<'_>) -> Result<bool> {
    Ok(sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM \"user\" WHERE admin)").fetch_one(db).await?)
}

/// Every admin of the installation.
pub async fn admins(tx: &mut SqliteConnection) -> Result<Vec<UserId>> {
    let ids: Vec<Uuid> =
        sqlx::query_scalar("SELECT id FROM \"user\" WHERE admin ORDER BY id").fetch_all(tx).await?;
    Ok(ids.into_iter().map(UserId).collect())
}

pub async fn password_hash(db: &SqlitePool, email: &str) -> Result<Option<(UserId, String)>> {
    let row: Option<(Uuid, String)> =
        sqlx::query_as("SELECT id, password_hash FROM \"user\" WHERE email = $1")
            .bind(email)
            .fetch_optional(db)
            .await?;
    Ok(row.map(|(id, hash)| (UserId(id), hash)))
}

/// The user, if `hash` is still the stored password hash.
pub async fn user_with_hash(tx: &mut SqliteConnection, id: UserId, hash: &str) -> Result<Option<User>> {
    let row: Option<UserRow> =
        sqlx::query_as("SELECT id, email, name, admin FROM \"user\" WHERE id = $1 AND password_hash = $2")
            .bind(id.0)
            .bind(hash)
            .fetch_optional(tx)
            .await?;
    Ok(row.map(User::from))
}

pub async fn set_password_hash(tx: &mut SqliteConnection, id: UserId, hash: &str) -> Result<()> {
    sqlx::query("UPDATE \"user\" SET password_hash = $2 WHERE id = $1")
        .bind(id.0)
        .bind(hash)
        .execute(tx)
        .await?;
    Ok(())
}

pub async fn insert_session(
    tx: &mut SqliteConnection,
    digest: &TokenDigest,
    user: UserId,
    at: Timestamp,
    expires_at: Timestamp,
) -> Result<()> {
    sqlx::query("INSERT INTO session (digest, user_id, created_at, expires_at) VALUES ($1, $2, $3, $4)")
        .bind(digest.as_slice())
        .bind(user.0)
        .bind(at.0)
        .bind(expires_at.0)
        .execute(tx)
        .await?;
    Ok(())
}

/// The session's user and expiry time; `None` if the session is unknown or has expired by `now`.
pub async fn session_owner(
    db: &SqlitePool,
    digest: &TokenDigest,
    now: Timestamp,
) -> Result<Option<(User, Timestamp)>> {
    let row: Option<OwnerRow> = sqlx::query_as(
        "SELECT u.id, u.email, u.name, u.admin, s.expires_at FROM session s JOIN \"user\" u ON u.id = s.user_id \
         WHERE s.digest = $1 AND s.expires_at > $2",
    )
    .bind(digest.as_slice())
    .bind(now.0)
    .fetch_optional(db)
    .await?;
    Ok(row.map(|row| (row.user.into(), Timestamp(row.expires_at))))
}

pub async fn end_session(tx: &mut SqliteConnection, digest: &TokenDigest) -> Result<()> {
    sqlx::query("DELETE FROM session WHERE digest = $1").bind(digest.as_slice()).execute(tx).await?;
    Ok(())
}

pub async fn end_sessions_expired_by(tx: &mut SqliteConnection, now: Timestamp) -> Result<()> {
    sqlx::query("DELETE FROM session WHERE expires_at <= $1").bind(now.0).execute(tx).await?;
    Ok(())
}

pub async fn end_other_sessions(
    tx: &mut SqliteConnection,
    user: UserId,
    kept: Option<&TokenDigest>,
) -> Result<()> {
    sqlx::query("DELETE FROM session WHERE user_id = $1 AND digest IS DISTINCT FROM $2")
        .bind(user.0)
        .bind(kept.map(TokenDigest::as_slice))
        .execute(tx)
        .await?;
    Ok(())
}

pub async fn insert_api_token(
    tx: &mut SqliteConnection,
    user: UserId,
    token: &ApiToken,
    digest: &TokenDigest,
) -> Result<()> {
    sqlx::query("INSERT INTO api_token (id, user_id, name, digest, created_at) VALUES ($1, $2, $3, $4, $5)")
        .bind(token.id.0)
        .bind(user.0)
        .bind(&token.name)
        .bind(digest.as_slice())
        .bind(token.created_at.0)
        .execute(tx)
        .await?;
    Ok(())
}

pub async fn api_tokens(db: &SqlitePool, user: UserId) -> Result<Vec<ApiToken>> {
    let rows: Vec<(Uuid, String, i64)> = sqlx::query_as(
        "SELECT id, name, created_at FROM api_token WHERE user_id = $1 AND revoked_at IS NULL ORDER BY id",
    )
    .bind(user.0)
    .fetch_all(db)
    .await?;
    let token = |(id, name, at)| ApiToken { id: TokenId(id), name, created_at: Timestamp(at) };
    Ok(rows.into_iter().map(token).collect())
}

pub async fn api_token_names(tx: &mut SqliteConnection, user: UserId) -> Result<Vec<String>> {
    Ok(sqlx::query_scalar("SELECT name FROM api_token WHERE user_id = $1 AND revoked_at IS NULL")
        .bind(user.0)
        .fetch_all(tx)
        .await?)
}

pub async fn api_token_owner(db: &SqlitePool, digest: &TokenDigest) -> Result<Option<User>> {
    let row: Option<UserRow> = sqlx::query_as(
        "SELECT u.id, u.email, u.name, u.admin FROM api_token t JOIN \"user\" u ON u.id = t.user_id \
         WHERE t.digest = $1 AND t.revoked_at IS NULL",
    )
    .bind(digest.as_slice())
    .fetch_optional(db)
    .await?;
    Ok(row.map(User::from))
}

/// Revokes the token and returns its digest; `None` if the user has no such token.
pub async fn revoke_api_token(
    tx: &mut SqliteConnection,
    user: UserId,
    id: TokenId,
    at: Timestamp,
) -> Result<Option<TokenDigest>> {
    let digest: Option<Vec<u8>> = sqlx::query_scalar(
        "UPDATE api_token SET revoked_at = $3 WHERE id = $1 AND user_id = $2 AND revoked_at IS NULL RETURNING digest",
    )
    .bind(id.0)
    .bind(user.0)
    .bind(at.0)
    .fetch_optional(tx)
    .await?;
    Ok(digest.and_then(|digest| digest.try_into().ok()))
}

/// Stores the digest of the first-run link; it replaces an older one.
pub async fn set_first_run(tx: &mut SqliteConnection, digest: &TokenDigest, at: Timestamp) -> Result<()> {
    sqlx::query(
        "INSERT INTO first_run (id, digest, created_at) VALUES (1, $1, $2) \
         ON CONFLICT (id) DO UPDATE SET digest = excluded.digest, created_at = excluded.created_at",
    )
    .bind(digest.as_slice())
    .bind(at.0)
    .execute(tx)
    .await?;
    Ok(())
}

pub async fn is_first_run(db: impl SqliteExecutor<'_>, digest: &TokenDigest) -> Result<bool> {
    Ok(sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM first_run WHERE digest = $1)")
        .bind(digest.as_slice())
        .fetch_one(db)
        .await?)
}

pub async fn end_first_run(tx: &mut SqliteConnection) -> Result<()> {
    sqlx::query("DELETE FROM first_run").execute(tx).await?;
    Ok(())
}
