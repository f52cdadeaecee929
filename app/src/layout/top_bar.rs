//! The top bar: breadcrumb, live runs, search and account.

use leptos::prelude::*;
use leptos_router::hooks::use_location;

use super::{Section, phone_menu::PhoneMenu, section::use_section_project};
use crate::live::LiveNotice;

/// The name of the page's subject, for the end of the breadcrumb. The page sets it, and it is cleared when the page is
/// left.
#[derive(Clone, Copy)]
pub(super) struct Crumb(RwSignal<Option<String>>);

impl Crumb {
    pub(super) fn provide() {
        provide_context(Self(RwSignal::new(None)));
    }
}

/// Sets the name of the page's subject if the URL has only an id, such as the title of a conversation.
pub fn use_crumb(name: impl Fn() -> Option<String> + 'static) {
    let Some(Crumb(crumb)) = use_context::<Crumb>() else { return };
    Effect::new(move |_| crumb.set(name()));
    on_cleanup(move || {
        crumb.try_set(None);
    });
}

/// The last part of the path as a readable text: keys and numbers are readable, row ids are not.
fn readable_tail(path: &str) -> Option<String> {
    let place = if path.starts_with("/p/") { 4 } else { 2 };
    let tail = path.split('/').nth(place).filter(|tail| !tail.is_empty())?;
    let words = match (Section::of_path(path), tail) {
        (Some(Section::Settings), "models") => Some("Models"),
        (Some(Section::Settings), "members") => Some("Members"),
        (Some(Section::Settings), "tokens") => Some("API tokens"),
        (Some(Section::Conversations), "new") => Some("New conversation"),
        (Some(Section::Templates), "new") => Some("New template"),
        (Some(Section::Roles), "new") => Some("New role"),
        _ => None,
    };
    if let Some(words) = words {
        return Some(words.to_owned());
    }
    let is_row_id = tail.len() == 36 && tail.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    (!is_row_id).then(|| tail.to_owned())
}

#[component]
pub(super) fn TopBar(
    live: Option<ViewFnOnce>,
    search: ViewFnOnce,
    account: Option<ViewFnOnce>,
) -> impl IntoView {
    let path = use_location().pathname;
    let project = use_section_project();
    let Crumb(named) = expect_context();
    let section = Memo::new(move |_| path.with(|path| Section::of_path(path)));
    let tail = Memo::new(move |_| named.get().or_else(|| path.with(|path| readable_tail(path))));
    let crumbs = move || {
        let (section, project) = (section.get()?, project.get()?);
        let tail = tail.get();
        let current = tail.is_none().then_some("page");
        Some(view! {
            <ol class="crumbs">
                <li><a href=section.href(&project) aria-current=current>{section.label()}</a></li>
                {tail.map(|tail| {
                    let title = tail.clone();
                    view! { <li><span aria-current="page" title=title>{tail}</span></li> }
                })}
            </ol>
        })
    };
    let phone_menu = view! { <PhoneMenu/> }.into_any();
    view! {
        <header class="top-bar">
            {phone_menu}
            <nav class="breadcrumb" aria-label="Breadcrumb">{crumbs}</nav>
            <LiveNotice/>
            <div class="top-bar-end">{live.map(ViewFnOnce::run)} {search.run()} {account.map(ViewFnOnce::run)}</div>
        </header>
    }
}

#[cfg(test)]
mod tests {
    use super::readable_tail;

    #[test]
    fn row_ids_are_not_shown() {
        assert_eq!(readable_tail("/p/demo/runs/42").as_deref(), Some("42"));
        assert_eq!(readable_tail("/p/demo/conversations/01931a3e-7c4f-7a11-8d1e-2f3a4b5c6d7e"), None);
        assert_eq!(readable_tail("/p/demo/runs"), None);
    }

    #[test]
    fn pages_have_their_own_names() {
        assert_eq!(readable_tail("/settings/tokens").as_deref(), Some("API tokens"));
        assert_eq!(readable_tail("/p/demo/templates/new").as_deref(), Some("New template"));
        assert_eq!(readable_tail("/p/demo/runs/new").as_deref(), Some("new"));
    }
}
