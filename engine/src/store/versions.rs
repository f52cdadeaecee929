//! Immutable versions of templates and roles, as launches and live runs read them.

use super::projects::{Membership, membership};
use crate::{Error, Result};
use domain::{
    id::{ProjectId, RoleId, TemplateId, UserId},
    key::{ModelName, ProjectKey, RoleKey, TemplateKey},
    template::Template,
};
use sqlx::{FromRow, Row, SqliteConnection, SqlitePool, types::Json};
use uuid::Uuid;

/// One version of a role, with what a model call needs.
#[derive(Clone, Debug)]
pub struct RoleVersion {
    pub id: RoleId,
    pub version: u32,
    pub base_prompt: String,
    pub model: ModelName,
    pub temperature: Option<f64>,
    pub max_tokens: Option<u32>,
}

/// The newest version of a role, without its texts. Launches choose among these.
#[derive(Clone, Debug)]
pub struct RoleHead {
    pub id: RoleId,
    pub version: u32,
    pub key: RoleKey,
    pub model: ModelName,
}

#[derive(FromRow)]
struct RoleHeadRow {
    id: Uuid,
    key: String,
    version: u32,
    model: String,
}

impl RoleHeadRow {
    fn read(self) -> Result<RoleHead> {
        let corrupt = |what: &str| Error::internal(format!("role {}: its {what} cannot be read", self.id));
        Ok(RoleHead {
            id: RoleId(self.id),
            version: self.version,
            key: RoleKey::parse(&self.key).map_err(|_| corrupt("key"))?,
            model: ModelName::parse(&self.model).map_err(|_| corrupt("model"))?,
        })
    }
}

#[derive(FromRow)]
struct RoleVersionRow {
    id: Uuid,
    version: u32,
    base_prompt: String,
    model: String,
    temperature: Option<f64>,
    max_tokens: Option<u32>,
}

impl RoleVersionRow {
    fn read(self) -> Result<RoleVersion> {
        let corrupt = |what: &str| Error::internal(format!("role {}: its {what} cannot be read", self.id));
        Ok(RoleVersion {
            id: RoleId(self.id),
            version: self.version,
            model: ModelName::parse(&self.model).map_err(|_| corrupt("model"))?,
            base_prompt: self.base_prompt,
            temperature: self.temperature,
            max_tokens: self.max_tokens,
        })
    }
}

/// The newest version of every role of the project, in order of creation.
pub async fn roles(db: &SqlitePool, project: ProjectId) -> Result<Vec<RoleHead>> {
    let rows: Vec<RoleHeadRow> = sqlx::query_as(
        "SELECT r.id, r.key, v.version, v.model \
         FROM role r JOIN role_version v ON v.role_id = r.id AND v.version = r.version \
         WHERE r.project_id = $1 AND r.deleted_at IS NULL ORDER BY r.id",
    )
    .bind(project.0)
    .fetch_all(db)
    .await?;
    rows.into_iter().map(RoleHeadRow::read).collect()
}

/// Everything that a launch reads from the database before it starts, in one query instead of three.
pub struct LaunchContext {
    pub membership: Membership,
    /// The newest version of the requested template.
    pub template: Option<(TemplateId, u32)>,
    /// See [`roles`].
    pub roles: Vec<RoleHead>,
}

/// `None` if there is no such project.
pub async fn launch_context(
    db: &mut SqliteConnection,
    project: &ProjectKey,
    user: UserId,
    template: Option<&TemplateKey>,
) -> Result<Option<LaunchContext>> {
    let rows = sqlx::query(
        "SELECT p.id AS project, m.permission, t.id AS template, t.version AS template_version, \
         r.id, r.key, v.version, v.model FROM project p \
         LEFT JOIN member m ON m.project_id = p.id AND m.user_id = $2 \
         LEFT JOIN template t ON t.project_id = p.id AND t.key = $3 AND t.deleted_at IS NULL \
         LEFT JOIN role r ON r.project_id = p.id AND r.deleted_at IS NULL \
         LEFT JOIN role_version v ON v.role_id = r.id AND v.version = r.version \
         WHERE p.key = $1 ORDER BY r.id",
    )
    .bind(project.as_ref())
    .bind(user.0)
    .bind(template.map(AsRef::as_ref))
    .fetch_all(db)
    .await?;
    let Some(first) = rows.first() else { return Ok(None) };
    let template: Option<Uuid> = first.try_get("template")?;
    let template = template.map(|id| Ok::<_, Error>((TemplateId(id), first.try_get("template_version")?)));
    let mut roles = Vec::with_capacity(rows.len());
    for row in &rows {
        if row.try_get::<Option<Uuid>, _>("id")?.is_some() {
            roles.push(RoleHeadRow::from_row(row)?.read()?);
        }
    }
    Ok(Some(LaunchContext {
        membership: membership(first.try_get("project")?, first.try_get("permission")?)?,
        template: template.transpose()?,
        roles,
    }))
}

/// A version of a role, even if the role has been deleted.
pub async fn role(db: &SqlitePool, id: RoleId, version: u32) -> Result<Option<RoleVersion>> {
    let row: Option<RoleVersionRow> = sqlx::query_as(
        "SELECT r.id, v.version, v.base_prompt, v.model, v.temperature, v.max_tokens \
         FROM role r JOIN role_version v ON v.role_id = r.id WHERE r.id = $1 AND v.version = $2",
    )
    .bind(id.0)
    .bind(version)
    .fetch_optional(db)
    .await?;
    row.map(RoleVersionRow::read).transpose()
}

/// The id of a template and the number of its newest version.
pub async fn newest_template(
    db: &SqlitePool,
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

pub async fn template(db: &SqlitePool, id: TemplateId, version: u32) -> Result<Option<Template>> {
    let row: Option<Json<Template>> =
        sqlx::query_scalar("SELECT document FROM template_version WHERE template_id = $1 AND version = $2")
            .bind(id.0)
            .bind(version)
            .fetch_optional(db)
            .await?;
    Ok(row.map(|document| document.0))
}
