//! Roles: versioned AI identities of a project.

use crate::{Engine, Result, User};
use domain::{
    event::Failure,
    key::{ModelName, ProjectKey, RoleKey},
    usage::Usage,
    view::{Page, Role, RoleDraft},
};
use futures::stream::BoxStream;

/// What trying a role streams.
#[derive(Clone, Debug)]
pub enum TrialEvent {
    Text(String),
    Finished(Usage),
    Failed(Failure),
}

impl Engine {
    /// In order of creation (the first one is the last fallback). Page size 100.
    pub async fn roles(&self, user: &User, project: &ProjectKey, cursor: Option<&str>) -> Result<Page<Role>> {
        todo!()
    }
    pub async fn role(&self, user: &User, project: &ProjectKey, key: &RoleKey) -> Result<Role> {
        todo!()
    }
    pub async fn create_role(&self, user: &User, project: &ProjectKey, draft: RoleDraft) -> Result<Role> {
        todo!()
    }
    /// Makes the next version. `based_on`: the version the editor saw; `Stale` when there is a newer one. None: no check.
    pub async fn update_role(
        &self,
        user: &User,
        project: &ProjectKey,
        key: &RoleKey,
        draft: RoleDraft,
        based_on: Option<u32>,
    ) -> Result<Role> {
        todo!()
    }
    /// Runs that use it go on with the version they have.
    pub async fn delete_role(&self, user: &User, project: &ProjectKey, key: &RoleKey) -> Result<()> {
        todo!()
    }
    /// Sends one message to a role as drafted, stored or not; nothing is recorded. Dropping the stream ends the call.
    pub async fn try_role(
        &self,
        user: &User,
        project: &ProjectKey,
        draft: RoleDraft,
        message: String,
    ) -> Result<BoxStream<'static, TrialEvent>> {
        todo!()
    }
    /// Every model that the providers offer just now, as `provider/model`, with the providers that failed to answer.
    pub async fn offered_models(
        &self,
        user: &User,
    ) -> Result<(Vec<ModelName>, Vec<(domain::key::ProviderKey, String)>)> {
        todo!()
    }
}
