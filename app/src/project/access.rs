//! The signed-in user's permission in the page's project. The server enforces it; pages use it to hide actions that
//! would be refused.

use crate::ui::Notice;
use leptos::prelude::*;

/// Whether the user may edit the project of the requested page. The server adds it to the request: if a page had to
/// wait for it, server and browser would render differently.
#[cfg(feature = "ssr")]
#[derive(Clone, Copy, Debug)]
pub struct MayEdit(pub bool);

/// Whether the user is an editor or an admin of the project. True if the permission is unknown, and on pages outside
/// any project.
#[cfg(feature = "ssr")]
pub fn use_may_edit() -> bool {
    let parts = use_context::<axum::http::request::Parts>();
    parts.and_then(|parts| parts.extensions.get::<MayEdit>().copied()).is_none_or(|MayEdit(may)| may)
}

/// As on the server, by the list of projects that came with the page, or that [`permission_known`] waited for.
#[cfg(not(feature = "ssr"))]
pub fn use_may_edit() -> bool {
    use super::{Projects, project_of};
    use domain::access::Permission;
    use leptos_router::hooks::use_location;

    let Some(Projects { list, .. }) = use_context() else { return true };
    let here = project_of(&use_location().pathname.read_untracked());
    list.with_untracked(|list| match list {
        Some(Ok(projects)) => {
            let mut projects = projects.iter();
            let found = projects.find(|project| Some(&project.key) == here.as_ref());
            found.is_none_or(|project| project.permission >= Permission::Editor)
        }
        _ => true,
    })
}

/// Waits for the data of [`use_may_edit`] if the server has not rendered the page: right after the sign-in.
#[cfg(not(feature = "ssr"))]
pub fn permission_known() -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
    let list = use_context::<super::Projects>().map(|projects| projects.list);
    let here = super::project_of(&leptos_router::hooks::use_location().pathname.read_untracked());
    let is_known = |list: &Option<crate::fault::Result<Vec<domain::view::Project>>>| match (list, &here) {
        (Some(Ok(list)), Some(here)) => list.iter().any(|project| project.key == *here),
        (list, _) => list.is_some(),
    };
    // A list that is being reloaded is still known: no page waits for it, and hydration must not.
    let unknown = list.filter(|list| !list.with_untracked(is_known)).map(|list| list.ready());
    Box::pin(leptos::reactive::computed::ScopedFuture::new_untracked(async move {
        if let Some(unknown) = unknown {
            unknown.await;
        }
    }))
}

/// Shown in place of the editing actions: "an editor can …".
#[component]
pub fn ReadOnly(can: &'static str) -> impl IntoView {
    view! { <Notice>"You may read in this project; an editor can " {can} "."</Notice> }.into_any()
}
