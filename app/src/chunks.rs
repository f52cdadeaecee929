//! Pages whose code the browser fetches on demand, in chunks; `cargo xtask front` splits them off (`split.rs`).
//!
//! Each chunk is declared once, here, with its pages; `router.rs` has their addresses. Code that only the pages of one
//! chunk use is split off with them automatically. Code that is shared with the frame, or with a page outside the
//! chunks, stays in the main module.
//!
//! - The server renders a page as if there were no chunks, and lists in its head the files that the browser will need.
//! - Before the browser hydrates that page, it has fetched the files ([`fetch_page_at`]).
//! - On navigation the router fetches first ([`ChooseView::preload`]), and the previous page stays until then.

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

/// A chunk could not be fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotFetched;

#[cfg(feature = "split")]
impl From<wasm_split_helpers::SplitLoaderError> for NotFetched {
    fn from(_: wasm_split_helpers::SplitLoaderError) -> Self {
        Self
    }
}

/// Whether fetching the last requested chunk failed. A static, because the router's `preload` returns nothing.
static MISSING: AtomicBool = AtomicBool::new(false);

/// One function per chunk renders all of its pages, because the loader tracks per function whether its chunk is
/// loaded.
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
    /// Templates: the list, the page of one, the editor.
    design, fetch_design: Design {
        List => TemplatesPage,
        New => NewTemplatePage,
        One => TemplatePage,
        Edit => EditTemplatePage,
    }
}

chunk! {
    /// Settings and other pages that are set up once and rarely opened.
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
    /// Comparisons of runs.
    compare, fetch_compare: Compare {
        Runs => ComparePage,
    }
}

chunk! {
    /// The page of a run.
    inspect, fetch_inspect: Inspect {
        Run => RunPage,
    }
}

chunk! {
    /// Overview pages: live runs, the list of runs, search results.
    survey, fetch_survey: Survey {
        Live => DashboardPage,
        Runs => RunsPage,
        Found => SearchPage,
    }
}

/// Lets the browser preload a chunk's files along with the main module.
#[cfg(feature = "ssr")]
fn announce(chunk: &str) {
    use leptos_meta::Link;

    let Some(manifest) = use_context::<leptos::WasmSplitManifest>() else { return };
    let Some(manifest) = manifest.0.try_read_value() else { return };
    let (folder, files, _) = &*manifest;
    for file in files.get(chunk).into_iter().flatten() {
        let href = format!("{folder}/{file}.wasm");
        // Rendering the view registers the link in the head; the view itself is not used.
        let _ = view! {
            <Link rel="preload" href as_="fetch" type_="application/wasm" crossorigin="anonymous"/>
        }
        .to_html();
    }
}

/// Fetches the chunk of the page at this address, so that it can be rendered at once.
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

/// Fetches a chunk when the pointer enters a link to one of its pages, so that it is loaded before the click.
pub fn fetch_ahead() {
    window_event_listener(ev::pointerover, |event| {
        let target = event.target().and_then(|target| target.dyn_into::<Element>().ok());
        let link = target.and_then(|target| target.closest("a[href]").ok().flatten());
        let Some(link) = link.and_then(|link| link.dyn_into::<HtmlAnchorElement>().ok()) else { return };
        if window().location().origin().is_ok_and(|here| here == link.origin()) {
            spawn_local(async move {
                // A failure is ignored: following the link fetches again and reports it.
                let _ = fetch_page_at(&link.pathname()).await;
            });
        }
    });
}

/// Replaces a page whose chunk could not be fetched, because of the network or because the server now has a newer
/// version with other chunks. Reloading the page helps in both cases.
#[component]
fn NotFetchedPage() -> impl IntoView {
    view! {
        <PageHeader title="This page did not load"/>
        <NotFetchedNotice/>
    }
}

/// Also shown above a server-rendered page that cannot be hydrated.
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
