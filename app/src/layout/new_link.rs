//! The "New" link of a list.

use crate::{
    keyboard::use_shortcut,
    project::use_may_edit,
    ui::{ButtonLink, ButtonVariant, Glyph},
};
use leptos::prelude::*;
use leptos_router::hooks::use_navigate;

/// A link for the list's head and its empty state, and the key `n`. Only for users with the permission to edit.
pub fn new_link(label: &'static str, href: String) -> impl Fn() -> Option<AnyView> + Copy + Send + Sync {
    let may_edit = use_may_edit();
    let href = StoredValue::new(href);
    if may_edit {
        let navigate = use_navigate();
        use_shortcut("n", label, move || navigate(&href.get_value(), Default::default()));
    }
    move || {
        may_edit.then(|| {
            view! {
                <ButtonLink href=href.get_value() variant=ButtonVariant::Primary glyph=Glyph::Plus>
                    {label}
                </ButtonLink>
            }
            .into_any()
        })
    }
}
