//! The frame of the app, and the bare frame of standalone pages such as sign-in.

use leptos::prelude::*;
use leptos_router::{NavigateOptions, hooks::use_navigate};

use super::{
    Preferences, Section,
    section::use_section_project,
    sidebar::Sidebar,
    top_bar::{Crumb, TopBar},
};
use crate::{
    keyboard::use_shortcut,
    project::{Projects, use_project_here},
};

/// Sidebar and top bar around a page. Features fill the slots: `project_switcher` (a `Menu`), `count` (next to a
/// section in the sidebar), `live` (the link "3 live"), `search` (opens the palette), `account` (a `Menu`). Must be
/// inside the router.
#[component]
pub fn Frame(
    #[prop(optional, into)] project_switcher: Option<ViewFnOnce>,
    count: fn(Section) -> Option<AnyView>,
    #[prop(optional, into)] live: Option<ViewFnOnce>,
    #[prop(into)] search: ViewFnOnce,
    #[prop(optional, into)] account: Option<ViewFnOnce>,
    children: Children,
) -> impl IntoView {
    let preferences = expect_context::<Preferences>();
    Crumb::provide();
    Projects::provide();
    shortcuts(preferences);
    let here = use_project_here();
    Effect::new(move |_| {
        if let Some(project) = here.get() {
            preferences.remember_project(project);
        }
    });
    let sidebar = move || if preferences.sidebar_collapsed() { "collapsed" } else { "open" };
    // Each view is type-erased: compile time grows with the depth of a view's type.
    let (sidebar_view, top_bar) = (
        view! { <Sidebar project_switcher count/> }.into_any(),
        view! { <TopBar live search account/> }.into_any(),
    );
    view! {
        <a class="skip-link" href="#main" rel="external">"Skip to content"</a>
        <div class="frame" data-sidebar=sidebar>
            {sidebar_view}
            <div class="frame-column">
                {top_bar}
                <main class="main" id="main" tabindex="-1">{children()}</main>
            </div>
        </div>
    }
}

fn shortcuts(preferences: Preferences) {
    let project = use_section_project();
    for section in Section::EVERY {
        let navigate = use_navigate();
        use_shortcut(
            format!("g {}", section.letter()),
            format!("Go to {}", section.label().to_lowercase()),
            move || {
                if let Some(project) = project.get_untracked() {
                    navigate(&section.href(&project), NavigateOptions::default());
                }
            },
        );
    }
    use_shortcut("[", "Collapse or expand the sidebar", move || preferences.toggle_sidebar());
}

/// A centred card: sign-in, first run, and other pages outside a project.
#[component]
pub fn BareFrame(children: Children) -> impl IntoView {
    view! {
        <main class="bare" id="main">
            <div class="bare-column">{children()}</div>
        </main>
    }
}
