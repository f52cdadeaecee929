//! What the one who looks may do in the page's project. The server refuses by itself; this is so that no page offers what
//! would be refused.

use crate::ui::Notice;
use leptos::prelude::*;

/// Whether they may write in the project of the page that a request asks for. The server puts it beside the request: a page
/// that had to wait for it would be drawn differently on both sides.
#[cfg(feature = "ssr")]
#[derive(Clone, Copy, Debug)]
pub struct MayEdit(pub bool);

/// Whether they may write in it: an editor or an admin of it. Where it cannot be known, and on a page of no project, nothing
/// is held back.
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

/// Waits for what [`use_may_edit`] asks, where the server has not drawn the page: right after the sign-in.
#[cfg(not(feature = "ssr"))]
pub fn permission_known() -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
    let list = use_context::<super::Projects>().map(|projects| projects.list);
    let here = super::project_of(&leptos_router::hooks::use_location().pathname.read_untracked());
    let is_known = |list: &Option<crate::fault::Result<Vec<domain::view::Project>>>| match (list, &here) {
        (Some(Ok(list)), Some(here)) => list.iter().any(|project| project.key == *here),
        (list, _) => list.is_some(),
    };
    // One that is being read anew is known all the same: nobody waits, least of all a page that comes to life.
    let unknown = list.filter(|list| !list.with_untracked(is_known)).map(|list| list.ready());
    Box::pin(leptos::reactive::computed::ScopedFuture::new_untracked(async move {
        if let Some(unknown) = unknown {
            unknown.await;
        }
    }))
}

/// Stands where the way to write would be: "an editor can …".
#[component]
pub fn ReadOnly(can: &'static str) -> impl IntoView {
    view! { <Notice>"You may read in this project; an editor can " {can} "."</Notice> }.into_any()
}
