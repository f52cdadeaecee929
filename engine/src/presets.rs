//! Presets: the team's named role assignments, such as "Quick draft", per template.

use crate::{
    Engine, Error, Result, User, pagination,
    store::{self, presets as rows, templates},
};
use domain::{
    access::Permission,
    id::TemplateId,
    key::{ProjectKey, RoleKey, TemplateKey},
    view::Preset,
};
use std::collections::BTreeMap;

/// The most presets per template.
const MOST: u32 = 100;
const MAX_NAME: usize = 100;

impl Engine {
    /// The presets by name. They may refer to steps and roles that no longer exist.
    pub async fn presets(
        &self,
        user: &User,
        project: &ProjectKey,
        template: &TemplateKey,
    ) -> Result<Vec<Preset>> {
        let id = self.template_for(user, project, template, Permission::Viewer).await?;
        rows::list(self.0.store.read(), id, MOST).await
    }

    /// Saves a preset. Requires editor permission. `Conflict` if the name is taken and `replace` is false.
    pub async fn save_preset(
        &self,
        user: &User,
        project: &ProjectKey,
        template: &TemplateKey,
        name: &str,
        roles: BTreeMap<String, RoleKey>,
        replace: bool,
    ) -> Result<()> {
        let id = self.template_for(user, project, template, Permission::Editor).await?;
        let preset = Preset { name: pagination::line("name", name, MAX_NAME)?, roles, by: user.name.clone() };
        if preset.roles.is_empty() {
            return Err(Error::invalid("roles", "choose a role for one step at least"));
        }
        self.0
            .store
            .write(move |tx| {
                Box::pin(async move {
                    if !rows::save(tx, id, &preset, replace, store::now()).await? {
                        return Err(Error::Conflict(format!("there is a preset '{}' already", preset.name)));
                    }
                    // Counted after the insertion, because a preset that replaces another adds none.
                    if rows::count(tx, id).await? > MOST {
                        return Err(Error::Conflict(format!("a template has at most {MOST} presets")));
                    }
                    Ok(())
                })
            })
            .await
    }

    /// Deletes a preset. Requires editor permission.
    pub async fn delete_preset(
        &self,
        user: &User,
        project: &ProjectKey,
        template: &TemplateKey,
        name: &str,
    ) -> Result<()> {
        let id = self.template_for(user, project, template, Permission::Editor).await?;
        let name = name.to_owned();
        self.0
            .store
            .write(move |tx| {
                Box::pin(async move {
                    if rows::delete(tx, id, &name).await? {
                        Ok(())
                    } else {
                        Err(Error::not_found("preset", name))
                    }
                })
            })
            .await
    }

    async fn template_for(
        &self,
        user: &User,
        project: &ProjectKey,
        template: &TemplateKey,
        permission: Permission,
    ) -> Result<TemplateId> {
        let project = self.authorise(user, project, permission).await?;
        let found = templates::by_key(self.0.store.read(), project, template).await?;
        found.map(|(id, _)| id).ok_or_else(|| Error::not_found("template", template))
    }
}
