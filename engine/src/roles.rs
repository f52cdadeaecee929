//! Roles: versioned AI identities of a project.

mod trial;

pub use trial::TrialEvent;

use crate::{
    Engine, Error, Result, User, pagination,
    store::{self, roles as rows},
};
use domain::{
    access::Permission,
    id::RoleId,
    key::{ProjectKey, RoleKey},
    problem::Problem,
    template::document::is_tool_name,
    view::{Page, Role, RoleDraft, Subject},
};
use uuid::Uuid;

const PAGE: usize = 100;
const MAX_NAME: usize = 100;
/// The longest base prompt, in bytes.
const MAX_PROMPT: usize = 100_000;
/// Providers accept 0 to 2, or less.
const TEMPERATURE: std::ops::RangeInclusive<f64> = 0.0..=2.0;
/// More than any model writes in one answer.
const MAX_TOKENS: u32 = 1_000_000;
const MAX_TOOLS: usize = 100;

impl Engine {
    /// The roles in order of creation (the first one is the last fallback). Page size 100.
    pub async fn roles(&self, user: &User, project: &ProjectKey, cursor: Option<&str>) -> Result<Page<Role>> {
        let project = self.authorise(user, project, Permission::Viewer).await?;
        let after = RoleId(pagination::after(cursor, Uuid::nil())?);
        let found = rows::list(self.0.store.read(), project, after, PAGE as u32 + 1).await?;
        pagination::page(found, PAGE, |(id, _)| *id, |(_, role)| Ok(role))
    }

    pub async fn role(&self, user: &User, project: &ProjectKey, key: &RoleKey) -> Result<Role> {
        let project = self.authorise(user, project, Permission::Viewer).await?;
        let found = rows::by_key(self.0.store.read(), project, key).await?;
        found.map(|(_, role)| role).ok_or_else(|| Error::not_found("role", key))
    }

    /// # Errors
    /// `Invalid` for an invalid draft, `Conflict` if the key is taken.
    pub async fn create_role(&self, user: &User, project: &ProjectKey, draft: RoleDraft) -> Result<Role> {
        let project = self.authorise(user, project, Permission::Editor).await?;
        let draft = checked(draft)?;
        let maker = user.id;
        self.0
            .store
            .write(move |tx| {
                Box::pin(async move {
                    if rows::by_key(&mut *tx, project, &draft.key).await?.is_some() {
                        return Err(Error::Conflict(format!("there is a role '{}' already", draft.key)));
                    }
                    let (id, now) = (RoleId(store::mint()), store::now());
                    rows::insert(tx, id, project, &draft.key, now).await?;
                    rows::insert_version(tx, id, 1, &draft, Some(maker), now).await?;
                    store::change(tx, project, &Subject::Role { key: draft.key.clone() }).await?;
                    Ok(role_of(draft, 1, now, now))
                })
            })
            .await
    }

    /// Saves the next version, or none if nothing changed; the role keeps its key. `based_on`: the version that the
    /// editor saw; `Stale` if there is a newer one. `None`: no check.
    pub async fn update_role(
        &self,
        user: &User,
        project: &ProjectKey,
        key: &RoleKey,
        draft: RoleDraft,
        based_on: Option<u32>,
    ) -> Result<Role> {
        let project = self.authorise(user, project, Permission::Editor).await?;
        let found = rows::by_key(self.0.store.read(), project, key).await?;
        found.ok_or_else(|| Error::not_found("role", key))?;
        let draft = checked(draft)?;
        if draft.key != *key {
            return Err(Error::invalid("key", format!("a role keeps its key: '{key}'")));
        }
        let maker = user.id;
        self.0
            .store
            .write(move |tx| {
                Box::pin(async move {
                    let found = rows::by_key(&mut *tx, project, &draft.key).await?;
                    let (id, role) = found.ok_or_else(|| Error::not_found("role", &draft.key))?;
                    if based_on.is_some_and(|seen| seen != role.version) {
                        return Err(Error::Stale { newest: role.version });
                    }
                    let (version, now) = (role.version + 1, store::now());
                    let new = role_of(draft.clone(), version, role.created_at, now);
                    if new == (Role { version, updated_at: now, ..role.clone() }) {
                        return Ok(role);
                    }
                    rows::set_version(tx, id, version).await?;
                    rows::insert_version(tx, id, version, &draft, Some(maker), now).await?;
                    store::change(tx, project, &Subject::Role { key: draft.key }).await?;
                    Ok(new)
                })
            })
            .await
    }

    /// Deletes a role. Runs that use it continue with their version.
    pub async fn delete_role(&self, user: &User, project: &ProjectKey, key: &RoleKey) -> Result<()> {
        let project = self.authorise(user, project, Permission::Editor).await?;
        let key = key.clone();
        self.0
            .store
            .write(move |tx| {
                Box::pin(async move {
                    if !rows::delete(tx, project, &key, store::now()).await? {
                        return Err(Error::not_found("role", &key));
                    }
                    store::change(tx, project, &Subject::Role { key }).await
                })
            })
            .await
    }
}

/// The draft with its texts trimmed, or all its problems.
fn checked(mut draft: RoleDraft) -> Result<RoleDraft> {
    let mut problems = Vec::new();
    match pagination::line("name", &draft.name, MAX_NAME) {
        Ok(name) => draft.name = name,
        Err(Error::Invalid(wrong)) => problems.extend(wrong),
        Err(other) => return Err(other),
    }
    let mut wrong = |path: &str, message: String| problems.push(Problem::new(path, message));
    if draft.base_prompt.len() > MAX_PROMPT {
        wrong("basePrompt", format!("has at most {MAX_PROMPT} bytes, this has {}", draft.base_prompt.len()));
    }
    if draft.base_prompt.contains('\0') {
        wrong("basePrompt", "must not have NUL characters".to_owned());
    }
    if draft.temperature.is_some_and(|temperature| !TEMPERATURE.contains(&temperature)) {
        wrong("temperature", "must be from 0 to 2".to_owned());
    }
    if draft.max_tokens.is_some_and(|tokens| !(1..=MAX_TOKENS).contains(&tokens)) {
        wrong("maxTokens", format!("must be from 1 to {MAX_TOKENS}"));
    }
    if draft.tools.len() > MAX_TOOLS {
        wrong("tools", format!("are at most {MAX_TOOLS}"));
    } else if let Some(bad) = draft.tools.iter().find(|tool| !is_tool_name(tool)) {
        let shown: String = bad.chars().take(80).collect();
        wrong("tools", format!("'{shown}' cannot be the name of a tool"));
    }
    if problems.is_empty() { Ok(draft) } else { Err(Error::Invalid(problems)) }
}

fn role_of(
    draft: RoleDraft,
    version: u32,
    created_at: domain::id::Timestamp,
    updated_at: domain::id::Timestamp,
) -> Role {
    Role {
        key: draft.key,
        name: draft.name,
        version,
        base_prompt: draft.base_prompt,
        model: draft.model,
        temperature: draft.temperature,
        max_tokens: draft.max_tokens,
        tools: draft.tools,
        created_at,
        updated_at,
    }
}
