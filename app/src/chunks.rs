//! Pages whose code the browser fetches when it needs them, chunk by chunk; `cargo xtask front` cuts them off (`split.rs`).
//!
//! A chunk is named once, here, with its pages; `router.rs` says where they are. Code that only the pages of one chunk use goes
//! with them by itself. What a page shares with the frame, or with a page outside the chunks, stays in the main module.
//!
//! - The server draws a page as if there were no chunks, and says in its head which files the browser will want.
//! - Before the browser brings that page to life, it has fetched them ([`fetch_page_at`]).
//! - On the way to another page the router fetches first ([`ChooseView::preload`]), and the page before stays until then.

use leptos::{ev, prelude::*, task::spawn_local};
use leptos_router::{ChooseView, MatchInterface, RouteDefs};
use std::{
    future::Future,
    pin::Pin,
    sync::atomic::{AtomicBool, Ordering},
};
use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlAnchorElement};

use crate::{
    dashboard::DashboardPage,
    form::reload,
    gallery::GalleryPage,
    layout::PageHeader,
    project::NewProjectPage,
    role::{EditRolePage, NewRolePage, RolesPage},
    router,
    run::{ComparePage, RunPage, RunsPage},
    search::SearchPage,
    settings::{MembersPage, ModelsPage, TokensPage},
    template::{EditTemplatePage, NewTemplatePage, TemplatePage, TemplatesPage},
    ui::{Button, ButtonVariant, Notice, Tone},
};

/// A chunk that did not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotFetched;

#[cfg(feature = "split")]
impl From<wasm_split_helpers::SplitLoaderError> for NotFetched {
    fn from(_: wasm_split_helpers::SplitLoaderError) -> Self {
        Self
    }
}

/// Whether the last chunk that was asked for is missing. The router's `preload` has no answer.
static MISSING: AtomicBool = AtomicBool::new(false);

/// One function per chunk draws all of its pages: whether a chunk is there is remembered for each function by itself.
macro_rules! chunk {
    ($(#[$doc:meta])* $chunk:ident, $fetch:ident: $Pages:ident { $($Page:ident => $View:ident),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub enum $Pages {
            $($Page),+
        }

        #[cfg_attr(feature = "split", wasm_split_helpers::wasm_split($chunk, preload($fetch), fallible))]
        fn $chunk(page: $Pages) -> Result<AnyView, NotFetched> {
            Ok(match page {
                $($Pages::$Page => $View().into_any()),+
            })
        }

        impl ChooseView for $Pages {
            async fn choose(self) -> AnyView {
                #[cfg(feature = "ssr")]
                announce(stringify!($chunk));
                #[cfg(feature = "split")]
                let drawn = $chunk(self).await;
                #[cfg(not(feature = "split"))]
                let drawn = $chunk(self);
                drawn.unwrap_or_else(|NotFetched| NotFetchedPage().into_any())
            }

            async fn preload(&self) {
                #[cfg(feature = "split")]
                MISSING.store($fetch().await.is_err(), Ordering::Relaxed);
            }
        }
    };
}

chunk! {
    /// Templates: the list, one of them, its editor.
    design, fetch_design: Design {
        List => TemplatesPage,
        New => NewTemplatePage,
        One => TemplatePage,
        Edit => EditTemplatePage,
    }
}

chunk! {
    /// What is set up once and seldom looked at.
    admin, fetch_admin: Admin {
        Roles => RolesPage,
        NewRole => NewRolePage,
        Role => EditRolePage,
        Models => ModelsPage,
        Members => MembersPage,
        Tokens => TokensPage,
        NewProject => NewProjectPage,
        Gallery => GalleryPage,
    }
}

chunk! {
    /// Runs side by side.
    compare, fetch_compare: Compare {
        Runs => ComparePage,
    }
}

chunk! {
    /// One run, close up.
    inspect, fetch_inspect: Inspect {
        Run => RunPage,
    }
}

chunk! {
    /// A look over everything: what is live, what ran, what is found.
    survey, fetch_survey: Survey {
        Live => DashboardPage,
        Runs => RunsPage,
        Found => SearchPage,
    }
}

/// Lets the browser fetch a chunk's files along with the main module.
#[cfg(feature = "ssr")]
fn announce(chunk: &str) {
    use leptos_meta::Link;

    let Some(manifest) = use_context::<leptos::WasmSplitManifest>() else { return };
    let Some(manifest) = manifest.0.try_read_value() else { return };
    let (folder, files, _) = &*manifest;
    for file in files.get(chunk).into_iter().flatten() {
        let href = format!("{folder}/{file}.wasm");
        // Drawing it hands it to the head; nothing stays here.
        let _ = view! {
            <Link rel="preload" href as_="fetch" type_="application/wasm" crossorigin="anonymous"/>
        }
        .to_html();
    }
}

/// Fetches what the page at this address needs, so that it can be drawn at once.
pub async fn fetch_page_at(path: &str) -> Result<(), NotFetched> {
    MISSING.store(false, Ordering::Relaxed);
    if let Some(matched) = RouteDefs::new(router::table()).match_route(path) {
        fetch_matched(matched).await;
    }
    if MISSING.load(Ordering::Relaxed) { Err(NotFetched) } else { Ok(()) }
}

fn fetch_matched(matched: impl MatchInterface + 'static) -> Pin<Box<dyn Future<Output = ()>>> {
    let (view, inner) = matched.into_view_and_child();
    Box::pin(async move {
        view.preload().await;
        if let Some(inner) = inner {
            fetch_matched(inner).await;
        }
    })
}

/// Fetches a chunk when a pointer comes to a link that leads into it, so that it is there before the click.
pub fn fetch_ahead() {
    window_event_listener(ev::pointerover, |event| {
        let target = event.target().and_then(|target| target.dyn_into::<Element>().ok());
        let link = target.and_then(|target| target.closest("a[href]").ok().flatten());
        let Some(link) = link.and_then(|link| link.dyn_into::<HtmlAnchorElement>().ok()) else { return };
        if window().location().origin().is_ok_and(|here| here == link.origin()) {
            spawn_local(async move {
                // Whoever follows the link asks again, and is told.
                let _ = fetch_page_at(&link.pathname()).await;
            });
        }
    });
}

/// In the place of a page whose chunk did not come, be it the network or a newer Troupe, which has others. To load the whole
/// page helps in both cases.
#[component]
fn NotFetchedPage() -> impl IntoView {
    view! {
        <PageHeader title="This page did not load"/>
        <NotFetchedNotice/>
    }
}

/// Also over a page of the server's that cannot come to life.
#[component]
pub fn NotFetchedNotice() -> impl IntoView {
    let action = || {
        view! { <Button variant=ButtonVariant::Primary on_click=move || reload()>"Load it again"</Button> }
    };
    view! {
        <Notice tone=Tone::Error action>
            "A part of Troupe could not be fetched: the server is out of reach, or it was updated meanwhile."
        </Notice>
    }
}
