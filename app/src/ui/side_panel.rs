//! A panel over the right part of a page. The URL opens it; closing it navigates to the URL without it.

use leptos::{ev, html, prelude::*};
use leptos_router::{NavigateOptions, hooks::use_navigate};

use super::{button::IconLink, focus::active_element, icon::Glyph};
use crate::keyboard::something_floats;

/// Closes with its button, a link that works without script, or with Esc. Restores the previous focus.
#[component]
pub fn SidePanel(
    #[prop(into)] title: Signal<String>,
    /// The URL of the page without the panel.
    #[prop(into)]
    close_href: Signal<String>,
    #[prop(optional, into)] actions: Option<ViewFnOnce>,
    children: Children,
) -> impl IntoView {
    let heading = NodeRef::<html::H2>::new();
    // Not on the server, where a thread-local value would be dropped on another thread.
    let before = (!cfg!(feature = "ssr")).then(|| StoredValue::new_local(None));
    let navigate = use_navigate();
    Effect::new(move |_| {
        let Some(heading) = heading.get() else { return };
        // If the page was loaded with the panel open, the focus stays where the browser put it.
        let active = active_element().filter(|element| element.tag_name() != "BODY");
        if let Some(before) = before.filter(|_| active.is_some()) {
            before.set_value(active);
            let _ = heading.focus();
        }
    });
    Effect::new(move |_| {
        let navigate = navigate.clone();
        let listening = window_event_listener(ev::keydown, move |event| {
            if event.key() == "Escape" && !event.default_prevented() && !something_floats() {
                event.prevent_default();
                let stay = NavigateOptions { scroll: false, ..NavigateOptions::default() };
                navigate(&close_href.get_untracked(), stay);
            }
        });
        on_cleanup(move || listening.remove());
    });
    on_cleanup(move || {
        if let Some(element) = before.and_then(|before| before.try_get_value().flatten()) {
            let _ = element.focus();
        }
    });
    view! {
        <aside class="side-panel" aria-label=move || title.get()>
            <header class="side-panel-header">
                <h2 class="side-panel-title" tabindex="-1" node_ref=heading>{move || title.get()}</h2>
                {actions.map(|actions| view! { <div class="side-panel-actions">{actions.run()}</div> })}
                <IconLink glyph=Glyph::Close href=close_href label="Close panel"/>
            </header>
            <div class="side-panel-body">{children()}</div>
        </aside>
    }
}
