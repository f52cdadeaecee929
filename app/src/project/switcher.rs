//! The project's name at the top of the sidebar, with the menu of projects.

use super::{server::list_projects, use_project_here};
use crate::{
    fault::Result,
    load::{Loaded, load},
    session::current_user,
    ui::{ButtonVariant, Glyph, Menu, MenuHeading, MenuItem, MenuSeparator},
};
use domain::{
    key::ProjectKey,
    view::{Project, User},
};
use leptos::prelude::*;

/// The projects of the signed-in user with their permissions, and the user. The frame provides it once for all
/// components.
#[derive(Clone, Copy)]
pub struct Projects {
    pub(super) list: Loaded<Result<Vec<Project>>>,
    user: Loaded<Result<Option<User>>>,
}

impl Projects {
    pub fn provide() {
        let here = use_project_here();
        // Reloaded in another project, because it may have just been created.
        let visited = Memo::new(move |before: Option<&Option<ProjectKey>>| {
            here.get().or_else(|| before.cloned().flatten())
        });
        let list = load(move || visited.get(), |_| list_projects());
        let user = load(|| (), |()| current_user());
        provide_context(Self { list, user });
    }
}

#[component]
pub fn ProjectSwitcher() -> impl IntoView {
    let here = use_project_here();
    let Projects { list: projects, .. } = expect_context();
    let name = move || {
        let here = here.get();
        let key = here.as_ref().map(ToString::to_string);
        let projects = projects.get().and_then(Result::ok).unwrap_or_default();
        let found = projects.into_iter().find(|project| Some(&project.key) == here.as_ref());
        found.map(|project| project.name).or(key).unwrap_or_else(|| "Projects".to_owned())
    };
    let key = move || {
        view! { <span class="project-name">{move || here.get().map(|key| key.to_string())}</span> }
    };
    let trigger = move || {
        view! {
            <span class="project-current">
                <Transition fallback=key>
                    {move || {
                        let name = name();
                        let title = name.clone();
                        view! { <span class="project-name" title=title>{name}</span> }
                    }}
                </Transition>
            </span>
        }
    };
    view! {
        <Menu id="project-switcher" label="Project" trigger variant=ButtonVariant::Ghost class="project-switcher">
            <ProjectItems/>
        </Menu>
    }
}

/// The entries of a menu: every project, and "New project" for users who may create one.
#[component]
pub fn ProjectItems() -> impl IntoView {
    let here = use_project_here();
    let Projects { list: projects, user } = expect_context();
    let item = |here: Option<&ProjectKey>, project: Project| {
        let checked = here == Some(&project.key);
        let title = project.name.clone();
        view! {
            <MenuItem href=format!("/p/{}/conversations", project.key) checked>
                <span title=title>{project.name}</span>
            </MenuItem>
        }
    };
    view! {
        <MenuHeading>"Projects"</MenuHeading>
        <Transition>
            {move || {
                let here = here.get();
                Suspend::new(async move {
                    let projects = projects.await.unwrap_or_default();
                    projects.into_iter().map(|project| item(here.as_ref(), project)).collect_view()
                })
            }}
            {move || Suspend::new(async move {
                let admin = user.await.ok().flatten().is_some_and(|user| user.admin);
                admin
                    .then(|| {
                        view! {
                            <MenuSeparator/>
                            <MenuItem href="/projects/new" glyph=Glyph::Plus>
                                "New project"
                            </MenuItem>
                        }
                    })
            })}
        </Transition>
    }
}
