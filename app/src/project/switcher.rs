//! The project's name at the head of the sidebar, and the way to another.

use super::{server::list_projects, use_project_here};
use crate::{
    load::load,
    session::current_user,
    ui::{ButtonVariant, Glyph, Menu, MenuHeading, MenuItem, MenuSeparator},
};
use domain::{key::ProjectKey, view::Project};
use leptos::prelude::*;

#[component]
pub fn ProjectSwitcher() -> impl IntoView {
    let here = use_project_here();
    let projects = load(|| (), |()| list_projects());
    let user = load(|| (), |()| current_user());
    let name = move || {
        let here = here.get();
        let key = here.as_ref().map(ToString::to_string);
        let projects = projects.get().and_then(Result::ok).unwrap_or_default();
        let found = projects.into_iter().find(|project| Some(&project.key) == here.as_ref());
        found.map(|project| project.name).or(key).unwrap_or_else(|| "Projects".to_owned())
    };
    let trigger = move || {
        view! {
            <span class="project-current">
                <span class="project-name">
                    <Transition fallback=move || move || here.get().map(|key| key.to_string())>{name}</Transition>
                </span>
            </span>
        }
    };
    let item = |here: Option<&ProjectKey>, project: Project| {
        let checked = here == Some(&project.key);
        view! {
            <MenuItem href=format!("/p/{}/conversations", project.key) checked>
                {project.name}
            </MenuItem>
        }
    };
    view! {
        <Menu id="project-switcher" label="Project" trigger variant=ButtonVariant::Ghost class="project-switcher">
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
        </Menu>
    }
}
