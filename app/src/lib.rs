//! The pages of Troupe: rendered on the server, hydrated in the browser by the same code.

#![recursion_limit = "256"]

pub mod canvas;
#[cfg(feature = "ssr")]
mod changes;
pub mod chunks;
pub mod conversation;
pub mod dashboard;
pub mod execute;
pub mod fault;
pub mod form;
mod gallery;
pub mod inbox;
pub mod kept;
pub mod keyboard;
pub mod layout;
pub mod live;
pub mod load;
pub mod project;
pub mod role;
pub mod router;
pub mod run;
pub mod search;
pub mod session;
pub mod settings;
pub mod sign_in;
pub mod standing;
pub mod template;
pub mod ui;

#[cfg(feature = "ssr")]
pub use gallery::ShowGallery;
use leptos::prelude::*;
#[cfg(feature = "ssr")]
use leptos_meta::{HashedStylesheet, MetaTags};
use leptos_meta::{Title, provide_meta_context};
use leptos_router::components::Router;

use crate::{
    keyboard::{Keyboard, ShortcutHelp},
    layout::Preferences,
    live::provide_live,
    router::AppRoutes,
    standing::TitleBadge,
    ui::{Clock, ToastRegion, Toasts},
};

/// The HTML document around the app, rendered on the server only.
#[cfg(feature = "ssr")]
pub fn shell(options: LeptosOptions) -> impl IntoView {
    let drawn = layout::Drawn::here();
    let (theme, sidebar, project) = (drawn.theme.as_str(), drawn.sidebar(), drawn.project());
    view! {
        <!DOCTYPE html>
        <html lang="en" data-theme=theme data-sidebar=sidebar data-troupe_project=project>
            <head>
                <meta charset="utf-8"/>
                <meta name="viewport" content="width=device-width, initial-scale=1"/>
                <meta name="color-scheme" content="light dark"/>
                <link rel="icon" type="image/svg+xml" href="/favicon.svg"/>
                <HashedStylesheet id="leptos" options=options.clone()/>
                <AutoReload options=options.clone()/>
                <HydrationScripts options/>
                <MetaTags/>
            </head>
            <body>
                <App/>
            </body>
        </html>
    }
}

#[component]
pub fn App() -> impl IntoView {
    provide_meta_context();
    Preferences::provide();
    Clock::provide();
    Toasts::provide();
    Keyboard::provide();
    provide_live();
    let badge = TitleBadge::provide();
    view! {
        <Title formatter=move |title: String| badge.around(&title) text="Troupe"/>
        <Router>
            <AppRoutes/>
        </Router>
        <ToastRegion/>
        <ShortcutHelp/>
    }
}
