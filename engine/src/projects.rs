//! Projects, their members, and the check that every command begins with.

use crate::{Engine, Result, User};
use domain::{
    access::Permission,
    id::ProjectId,
    key::ProjectKey,
    view::{Member, Project},
};

impl Engine {
    /// The project, if `user` has at least `need` in it. An installation admin has every permission everywhere; a
    /// project that the user is no member of looks like one that does not exist.
    pub(crate) async fn authorise(
        &self,
        user: &User,
        project: &ProjectKey,
        need: Permission,
    ) -> Result<ProjectId> {
        todo!()
    }
    pub async fn projects(&self, user: &User) -> Result<Vec<Project>> {
        todo!()
    }
    pub async fn project(&self, user: &User, key: &ProjectKey) -> Result<Project> {
        todo!()
    }
    /// Installation admins only; the maker becomes its admin.
    pub async fn create_project(&self, user: &User, key: ProjectKey, name: &str) -> Result<Project> {
        todo!()
    }
    pub async fn members(&self, user: &User, project: &ProjectKey) -> Result<Vec<Member>> {
        todo!()
    }
    /// Project admins only. `permission` none removes the member; the last admin cannot be removed.
    pub async fn set_member(
        &self,
        user: &User,
        project: &ProjectKey,
        email: &str,
        permission: Option<Permission>,
    ) -> Result<()> {
        todo!()
    }
}
