//! The search page: a plain form and its results, with or without script.

use super::server::draw_search;
use crate::{
    form::FaultPage,
    layout::PageHeader,
    load::{draw_in_place, load},
    project::use_project,
    ui::{Button, ButtonKind, ButtonVariant, Glyph, InputKind, Skeleton, SkeletonShape, TextField},
};
use leptos::{prelude::*, web_sys::FormData};
use leptos_router::{components::Form, hooks::use_query_map};
use std::sync::Arc;

#[component]
pub fn SearchPage() -> impl IntoView {
    let project = use_project();
    let query = use_query_map();
    let asked = Memo::new(move |_| query.read().get("q").unwrap_or_default());
    let cursor = Memo::new(move |_| query.read().get("cursor"));
    let found = load(
        move || (project.get(), asked.get(), cursor.get()),
        |(project, asked, cursor)| draw_search(project, asked, cursor),
    );
    let text = RwSignal::new(asked.get_untracked());
    // The search differs from the one that the page was loaded with.
    Effect::new(move |before: Option<String>| {
        let asked = asked.get();
        if before.is_some_and(|before| before != asked) {
            text.set(asked.clone());
        }
        asked
    });
    let action = move || format!("/p/{}/search", project.get());
    view! {
        <PageHeader title="Search"/>
        <Form method="GET" action=action on_form_data=Arc::new(without_button) attr:class="search-form" attr:role="search">
            <TextField
                label="Search in this project"
                hide_label=true
                name="q"
                kind=InputKind::Search
                bind=text
                max_length=500_u32
                placeholder="Words of a message, a title, a template, or a run's number"
                autocomplete="off"
            />
            <Button kind=ButtonKind::Submit variant=ButtonVariant::Primary glyph=Glyph::Search>"Search"</Button>
        </Form>
        <Transition fallback=|| view! { <Skeleton shape=SkeletonShape::Rows count=6/> }>
            {draw_in_place(found, move |answer| match answer {
                Ok(html) => view! { <div class="found-part" inner_html=html></div> }.into_any(),
                Err(fault) => view! { <FaultPage fault/> }.into_any(),
            })}
        </Transition>
    }
    .into_any()
}

/// Removes the button's empty field, so that it does not appear in the URL.
fn without_button(fields: &FormData) {
    fields.delete("");
}
