//! Every part of the design system in every state, for those who work on it. Only debug builds show it.

use leptos::prelude::*;

use crate::{layout::PageHeader, router::NotFound};

#[component]
pub fn GalleryPage() -> impl IntoView {
    if cfg!(debug_assertions) {
        view! { <PageHeader title="Gallery"/> }.into_any()
    } else {
        view! { <NotFound/> }.into_any()
    }
}
