//! The page of search: a plain form and what it found, with or without script.

use super::server::draw_search;
use crate::{
    form::FaultPage,
    layout::PageHeader,
    load::{draw_in_place, load},
    project::use_project,
    ui::{Button, ButtonKind, ButtonVariant, Glyph, Skeleton, SkeletonShape},
};
use leptos::prelude::*;
use leptos_router::{components::Form, hooks::use_query_map};

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
    let action = move || format!("/p/{}/search", project.get());
    view! {
        <PageHeader title="Search"/>
        <Form method="GET" action=action attr:class="search-form" attr:role="search">
            <label class="visually-hidden" for="search-field">"Search in this project"</label>
            <input
                id="search-field"
                class="input"
                type="search"
                name="q"
                maxlength="500"
                placeholder="Words of a message, a title, a template, or a run's number"
                autocomplete="off"
                value=asked.get_untracked()
                prop:value=move || asked.get()
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
