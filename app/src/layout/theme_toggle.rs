//! The choice of theme: light, dark, or the system's.

use leptos::prelude::*;

use super::{Preferences, ThemePreference};
use crate::ui::{Glyph, Icon};

fn glyph(theme: ThemePreference) -> Glyph {
    match theme {
        ThemePreference::System => Glyph::Monitor,
        ThemePreference::Light => Glyph::Sun,
        ThemePreference::Dark => Glyph::Moon,
    }
}

/// Three radio buttons in a row; arrow keys move among them.
#[component]
pub fn ThemeToggle() -> impl IntoView {
    let preferences = expect_context::<Preferences>();
    let now = untrack(|| preferences.theme());
    let choices = ThemePreference::ALL
        .map(|theme| {
            view! {
                <label class="segment" title=theme.label()>
                    <input
                        class="visually-hidden"
                        type="radio"
                        name="theme"
                        value=theme.as_str()
                        checked=now == theme
                        prop:checked=move || preferences.theme() == theme
                        on:change=move |_| preferences.set_theme(theme)
                    />
                    <Icon glyph=glyph(theme)/>
                    <span class="visually-hidden">{theme.label()}</span>
                </label>
            }
        })
        .collect_view();
    view! {
        <fieldset class="segments">
            <legend class="visually-hidden">"Theme"</legend>
            {choices}
        </fieldset>
    }
}
