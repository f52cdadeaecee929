//! The account menu: the signed-in user, and signing out.

use super::server::SignOut;
use crate::{
    layout::{Preferences, ThemePreference},
    load::load,
    session::current_user,
    ui::{ButtonVariant, Glyph, Menu, MenuHeading, MenuItem},
};
use leptos::prelude::*;
use leptos::server_fn::ServerFn;

const FORM: &str = "sign-out";

#[component]
pub fn AccountMenu() -> impl IntoView {
    let user = load(|| (), |()| current_user());
    let initials = move || {
        let user = user.get().and_then(Result::ok).flatten();
        let name = user.map(|user| user.name).unwrap_or_default();
        let letters = name.split_whitespace().filter_map(|word| word.chars().next()).take(2);
        letters.flat_map(char::to_uppercase).collect::<String>()
    };
    let preferences = expect_context::<Preferences>();
    let themes = ThemePreference::ALL
        .map(|theme| {
            let checked = Signal::derive(move || preferences.theme() == theme);
            view! {
                <MenuItem checked on_select=move || preferences.set_theme(theme)>
                    {theme.label()}
                </MenuItem>
            }
        })
        .collect_view();
    let trigger = move || {
        view! {
            <span class="account-initials">
                <Transition>{initials}</Transition>
            </span>
        }
    };
    view! {
        // A native form submission: signing out loads a new page, so nothing stays in memory.
        <form id=FORM method="post" action=SignOut::url()></form>
        <Menu id="account" label="Account" trigger variant=ButtonVariant::Ghost class="account">
            <Transition>
                {move || Suspend::new(async move {
                    let user = user.await.ok().flatten();
                    user.map(|user| {
                        view! {
                            <MenuHeading>
                                <span class="account-name">{user.name}</span>
                                <span class="account-email">{user.email}</span>
                            </MenuHeading>
                        }
                    })
                })}
            </Transition>
            <MenuItem href="/settings/models" glyph=Glyph::Settings>
                "Settings"
            </MenuItem>
            <MenuItem href="/settings/tokens" glyph=Glyph::Key>
                "API tokens"
            </MenuItem>
            <MenuHeading>"Theme"</MenuHeading>
            {themes}
            <MenuItem form=FORM glyph=Glyph::SignOut>
                "Sign out"
            </MenuItem>
        </Menu>
    }
}
