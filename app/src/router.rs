//! The table of routes.

use leptos::prelude::*;
use leptos_router::{
    components::{Route, Routes},
    path,
};

use crate::{
    gallery::GalleryPage,
    layout::{BareFrame, PageHeader},
    ui::{ButtonLink, ButtonVariant},
};

#[component]
pub fn AppRoutes() -> impl IntoView {
    view! {
        <Routes fallback=NotFound>
            <Route path=path!("/gallery") view=GalleryPage/>
            <Route path=path!("/p/:project/gallery") view=GalleryPage/>
        </Routes>
    }
}

/// Also what a page shows when the thing its URL names is not there.
#[component]
pub fn NotFound() -> impl IntoView {
    #[cfg(feature = "ssr")]
    if let Some(response) = use_context::<leptos_axum::ResponseOptions>() {
        response.set_status(axum::http::StatusCode::NOT_FOUND);
    }
    view! {
        <BareFrame>
            <PageHeader title="Not found" subtitle="Nothing lives at this address, or you may not see it."/>
            <ButtonLink href="/" variant=ButtonVariant::Primary>"Go to the start page"</ButtonLink>
        </BareFrame>
    }
}
