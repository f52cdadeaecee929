//! Projects, their members, and the permission check at the beginning of every command.

use crate::{
    Engine, Error, Result, User,
    accounts::admins_only,
    pagination,
    store::{
        self, accounts,
        projects::{self as rows, Membership},
    },
};
use domain::{
    access::Permission,
    id::ProjectId,
    key::ProjectKey,
    view::{Member, Project},
};

const MAX_NAME: usize = 100;

/// The project, if the user has permission `need` in it. `found`: the project and the user's membership.
///
/// # Errors
/// `NotFound` if the user may not know of the project, `Forbidden` if the user lacks the permission.
pub(crate) fn allowed(
    user: &User,
    project: &ProjectKey,
    need: Permission,
    found: Option<Membership>,
) -> Result<ProjectId> {
    match found {
        Some((id, _)) if user.admin => Ok(id),
        Some((id, Some(permission))) if permission >= need => Ok(id),
        Some((_, Some(_))) => Err(Error::Forbidden(need)),
        Some((_, None)) | None => Err(Error::not_found("project", project)),
    }
}

impl Engine {
    /// The project, if `user` has at least `need` in it. An installation admin has every permission everywhere; to a
    /// user who is not a member, a project looks as if it did not exist.
    pub(crate) async fn authorise(
        &self,
        user: &User,
        project: &ProjectKey,
        need: Permission,
    ) -> Result<ProjectId> {
        allowed(user, project, need, rows::permission(self.0.store.read(), project, user.id).await?)
    }

    /// Checks the permission in the project, for callers that check it before they read a request's body.
    ///
    /// # Errors
    /// See [`allowed`].
    pub async fn permits(&self, user: &User, project: &ProjectKey, need: Permission) -> Result<()> {
        self.authorise(user, project, need).await.map(drop)
    }

    /// Checks that the user may cause calls to providers, which cost money: editors of any project, and installation
    /// admins.
    pub async fn permits_calls(&self, user: &User) -> Result<()> {
        if user.admin || rows::edits_any(self.0.store.read(), user.id).await? {
            return Ok(());
        }
        Err(Error::EditorsOnly)
    }

    /// Whether the user is a member of any project, or an installation admin.
    pub async fn is_member(&self, user: &User) -> Result<bool> {
        Ok(user.admin || rows::member_of_any(self.0.store.read(), user.id).await?)
    }

    /// The projects that the user may see, by name.
    pub async fn projects(&self, user: &User) -> Result<Vec<Project>> {
        rows::projects(self.0.store.read(), user).await
    }

    pub async fn project(&self, user: &User, key: &ProjectKey) -> Result<Project> {
        let id = self.authorise(user, key, Permission::Viewer).await?;
        let project = rows::project(self.0.store.read(), id, user).await?;
        project.ok_or_else(|| Error::not_found("project", key))
    }

    /// Creates a project. Installation admins only; the creator becomes its admin.
    ///
    /// # Errors
    /// `Conflict` if the key is taken.
    pub async fn create_project(&self, user: &User, key: ProjectKey, name: &str) -> Result<Project> {
        admins_only(user)?;
        let name = pagination::line("name", name, MAX_NAME)?;
        let maker = user.id;
        self.0
            .store
            .write(move |tx| {
                Box::pin(async move {
                    if rows::id_by_key(tx, &key).await?.is_some() {
                        return Err(Error::Conflict(format!("there is a project '{key}' already")));
                    }
                    let id = ProjectId(store::mint());
                    rows::insert(tx, id, &key, &name, store::now()).await?;
                    rows::set_member(tx, id, maker, Permission::Admin).await?;
                    Ok(Project { key, name, permission: Permission::Admin, live_runs: 0 })
                })
            })
            .await
    }

    /// The members, by name.
    pub async fn members(&self, user: &User, project: &ProjectKey) -> Result<Vec<Member>> {
        let id = self.authorise(user, project, Permission::Viewer).await?;
        rows::members(self.0.store.read(), id).await
    }

    /// Sets a member's permission; `None` removes the member. Project admins only. The last admin can neither be
    /// removed nor get a lesser permission.
    ///
    /// # Errors
    /// `NotFound` without a user of this e-mail (or, to remove, a member), `Conflict` for the last admin.
    pub async fn set_member(
        &self,
        user: &User,
        project: &ProjectKey,
        email: &str,
        permission: Option<Permission>,
    ) -> Result<()> {
        let id = self.authorise(user, project, Permission::Admin).await?;
        let email = email.trim().to_owned();
        self.0
            .store
            .write(move |tx| {
                Box::pin(async move {
                    let member = accounts::user_by_email(&mut *tx, &email).await?;
                    let member = member.ok_or_else(|| Error::not_found("user", &email))?;
                    let before = rows::member(tx, id, member.id).await?;
                    match permission {
                        Some(permission) => rows::set_member(tx, id, member.id, permission).await?,
                        None if before.is_none() => return Err(Error::not_found("member", &email)),
                        None => rows::remove_member(tx, id, member.id).await?,
                    }
                    if before == Some(Permission::Admin) && !rows::any_admin(tx, id).await? {
                        return Err(Error::Conflict(format!(
                            "'{email}' is the last admin of the project; make somebody else an admin first"
                        )));
                    }
                    Ok(())
                })
            })
            .await
    }
}
