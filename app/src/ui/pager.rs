//! Cursor pagination of a list: links, so that it works without script and is part of the history.

use leptos::prelude::*;

use super::{
    button::{ButtonLink, ButtonSize},
    icon::Glyph,
};

/// Renders nothing if there is neither a previous nor a next page.
#[component]
pub fn Pager(
    #[prop(optional, into)] previous: MaybeProp<String>,
    #[prop(optional, into)] next: MaybeProp<String>,
) -> impl IntoView {
    move || {
        let (previous, next) = (previous.get(), next.get());
        (previous.is_some() || next.is_some()).then(|| {
            view! {
                <nav class="pager" aria-label="Pages">
                    {previous.map(|href| view! {
                        <ButtonLink href size=ButtonSize::Small glyph=Glyph::ChevronLeft>"Newer"</ButtonLink>
                    })}
                    {next.map(|href| view! {
                        <ButtonLink href size=ButtonSize::Small glyph=Glyph::ChevronRight class="pager-next">"Older"</ButtonLink>
                    })}
                </nav>
            }
        })
    }
}
