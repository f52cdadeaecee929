//! The project of a page, read from its URL, and switching to another one.

mod access;
mod home;
#[cfg(feature = "ssr")]
mod last;
mod server;
mod switcher;

#[cfg(feature = "ssr")]
pub use access::MayEdit;
#[cfg(not(feature = "ssr"))]
pub use access::permission_known;
pub use access::{ReadOnly, use_may_edit};
pub use home::{HomePage, NewProjectPage};
pub use server::{home_project, list_projects};
pub use switcher::{ProjectItems, ProjectSwitcher, Projects};

use domain::key::ProjectKey;
use leptos::prelude::*;
use leptos_router::hooks::use_location;

/// The project in the URL (`/p/demo/…`). A URL without one gives a key that no project has, so that the server
/// responds with "there is no project". During navigation to such a URL, a page keeps its current project.
pub fn use_project() -> Memo<ProjectKey> {
    let here = use_project_here();
    Memo::new(move |shown: Option<&ProjectKey>| {
        here.get().or_else(|| shown.cloned()).unwrap_or_else(|| ProjectKey::from_title(""))
    })
}

/// As [`use_project`], for components that pages outside any project also use.
pub fn use_project_here() -> Memo<Option<ProjectKey>> {
    let pathname = use_location().pathname;
    Memo::new(move |_| project_of(&pathname.read()))
}

/// The project in a path.
pub fn project_of(pathname: &str) -> Option<ProjectKey> {
    let mut parts = pathname.trim_start_matches('/').split('/');
    (parts.next() == Some("p")).then(|| parts.next()).flatten().and_then(|key| ProjectKey::parse(key).ok())
}

#[cfg(test)]
mod tests {
    use super::project_of;

    #[test]
    fn addresses_name_their_project() {
        for (pathname, project) in [
            ("/p/demo", Some("demo")),
            ("/p/demo/runs/42", Some("demo")),
            ("/settings/models", None),
            ("/p/", None),
            ("/", None),
        ] {
            assert_eq!(project_of(pathname).as_ref().map(|key| key.as_str()), project, "{pathname}");
        }
    }
}
