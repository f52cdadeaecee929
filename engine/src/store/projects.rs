//! Projects and their members.

use crate::{Error, Result, User};
use domain::{
    access::Permission,
    id::{ProjectId, Timestamp, UserId},
    key::ProjectKey,
    view::{Member, Project},
};
use sqlx::{FromRow, SqliteConnection, SqlitePool};
use uuid::Uuid;

#[derive(FromRow)]
struct ProjectRow {
    id: Uuid,
    key: String,
    name: String,
    permission: Option<String>,
    live_runs: u32,
}

impl ProjectRow {
    fn read(self, user: &User) -> Result<Project> {
        let permission = match &self.permission {
            _ if user.admin => Permission::Admin,
            Some(text) => permission_of(text)?,
            None => return Err(Error::internal(format!("project {}: read without a permission", self.id))),
        };
        let key = ProjectKey::parse(&self.key).map_err(Error::internal)?;
        Ok(Project { key, name: self.name, permission, live_runs: self.live_runs })
    }
}

fn permission_of(text: &str) -> Result<Permission> {
    Permission::parse(text).ok_or_else(|| Error::internal(format!("'{text}' is no permission")))
}

/// A project, and the user's permission as a member of it.
pub type Membership = (ProjectId, Option<Permission>);

/// Parses the database's form.
pub fn membership(project: Uuid, permission: Option<&str>) -> Result<Membership> {
    Ok((ProjectId(project), permission.map(permission_of).transpose()?))
}

/// The project with this key, and the user's permission as a member of it.
pub async fn permission(db: &SqlitePool, key: &ProjectKey, user: UserId) -> Result<Option<Membership>> {
    let row: Option<(Uuid, Option<String>)> = sqlx::query_as(
        "SELECT p.id, m.permission FROM project p \
         LEFT JOIN member m ON m.project_id = p.id AND m.user_id = $2 WHERE p.key = $1",
    )
    .bind(key.as_ref())
    .bind(user.0)
    .fetch_optional(db)
    .await?;
    row.map(|(id, permission)| membership(id, permission.as_deref())).transpose()
}

/// Whether the user is an editor or admin of any project.
pub async fn edits_any(db: &SqlitePool, user: UserId) -> Result<bool> {
    let edits = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM member WHERE user_id = $1 AND permission IN ('editor', 'admin'))",
    );
    Ok(edits.bind(user.0).fetch_one(db).await?)
}

pub async fn member_of_any(db: &SqlitePool, user: UserId) -> Result<bool> {
    let member = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM member WHERE user_id = $1)");
    Ok(member.bind(user.0).fetch_one(db).await?)
}

/// The projects that the user is a member of; for an installation admin, all projects.
pub async fn projects(db: &SqlitePool, user: &User) -> Result<Vec<Project>> {
    let rows: Vec<ProjectRow> = sqlx::query_as(
        "SELECT p.id, p.key, p.name, m.permission, \
         (SELECT count(*) FROM run r WHERE r.project_id = p.id AND r.status IN ('queued', 'running', 'waiting')) \
         AS live_runs \
         FROM project p LEFT JOIN member m ON m.project_id = p.id AND m.user_id = $1 \
         WHERE $2 OR m.user_id IS NOT NULL ORDER BY lower(p.name), p.key",
    )
    .bind(user.id.0)
    .bind(user.admin)
    .fetch_all(db)
    .await?;
    rows.into_iter().map(|row| row.read(user)).collect()
}

pub async fn project(db: &SqlitePool, id: ProjectId, user: &User) -> Result<Option<Project>> {
    let row: Option<ProjectRow> = sqlx::query_as(
        "SELECT p.id, p.key, p.name, m.permission, \
         (SELECT count(*) FROM run r WHERE r.project_id = p.id AND r.status IN ('queued', 'running', 'waiting')) \
         AS live_runs \
         FROM project p LEFT JOIN member m ON m.project_id = p.id AND m.user_id = $2 WHERE p.id = $1",
    )
    .bind(id.0)
    .bind(user.id.0)
    .fetch_optional(db)
    .await?;
    row.map(|row| row.read(user)).transpose()
}

pub async fn id_by_key(tx: &mut SqliteConnection, key: &ProjectKey) -> Result<Option<ProjectId>> {
    let id: Option<Uuid> = sqlx::query_scalar("SELECT id FROM project WHERE key = $1")
        .bind(key.as_ref())
        .fetch_optional(tx)
        .await?;
    Ok(id.map(ProjectId))
}

pub async fn insert(
    tx: &mut SqliteConnection,
    id: ProjectId,
    key: &ProjectKey,
    name: &str,
    at: Timestamp,
) -> Result<()> {
    sqlx::query("INSERT INTO project (id, key, name, created_at) VALUES ($1, $2, $3, $4)")
        .bind(id.0)
        .bind(key.as_ref())
        .bind(name)
        .bind(at.0)
        .execute(tx)
        .await?;
    Ok(())
}

pub async fn members(db: &SqlitePool, project: ProjectId) -> Result<Vec<Member>> {
    let rows: Vec<(String, String, String)> = sqlx::query_as(
        "SELECT u.email, u.name, m.permission FROM member m JOIN \"user\" u ON u.id = m.user_id \
         WHERE m.project_id = $1 ORDER BY lower(u.name), u.email",
    )
    .bind(project.0)
    .fetch_all(db)
    .await?;
    let member = |(email, name, permission): (_, _, String)| {
        Ok(Member { email, name, permission: permission_of(&permission)? })
    };
    rows.into_iter().map(member).collect()
}

pub async fn member(
    tx: &mut SqliteConnection,
    project: ProjectId,
    user: UserId,
) -> Result<Option<Permission>> {
    let permission: Option<String> =
        sqlx::query_scalar("SELECT permission FROM member WHERE project_id = $1 AND user_id = $2")
            .bind(project.0)
            .bind(user.0)
            .fetch_optional(tx)
            .await?;
    permission.as_deref().map(permission_of).transpose()
}

pub async fn any_admin(tx: &mut SqliteConnection, project: ProjectId) -> Result<bool> {
    Ok(sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM member WHERE project_id = $1 AND permission = 'admin')",
    )
    .bind(project.0)
    .fetch_one(tx)
    .await?)
}

pub async fn set_member(
    tx: &mut SqliteConnection,
    project: ProjectId,
    user: UserId,
    permission: Permission,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO member (project_id, user_id, permission) VALUES ($1, $2, $3) \
         ON CONFLICT (project_id, user_id) DO UPDATE SET permission = excluded.permission",
    )
    .bind(project.0)
    .bind(user.0)
    .bind(permission.as_str())
    .execute(tx)
    .await?;
    Ok(())
}

pub async fn remove_member(tx: &mut SqliteConnection, project: ProjectId, user: UserId) -> Result<()> {
    sqlx::query("DELETE FROM member WHERE project_id = $1 AND user_id = $2")
        .bind(project.0)
        .bind(user.0)
        .execute(tx)
        .await?;
    Ok(())
}

/// Makes the user an admin of every project.
pub async fn join_all(tx: &mut SqliteConnection, user: UserId) -> Result<()> {
    sqlx::query(
        "INSERT INTO member (project_id, user_id, permission) SELECT id, $1, 'admin' FROM project WHERE true \
         ON CONFLICT (project_id, user_id) DO UPDATE SET permission = 'admin'",
    )
    .bind(user.0)
    .execute(tx)
    .await?;
    Ok(())
}

pub async fn any(tx: &mut SqliteConnection) -> Result<bool> {
    Ok(sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM project)").fetch_one(tx).await?)
}
