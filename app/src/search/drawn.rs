//! Search results as HTML. The server renders them, so the browser needs no code for it.

use super::entries::{href, kind};
use crate::ui::{EmptyState, Glyph, Icon, Pager, Status, StatusBadge, format_iso};
use domain::{
    key::ProjectKey,
    view::{Found, FoundThing, Page},
};
use leptos::{prelude::*, tachys::view::RenderHtml};

pub fn found_html(project: &ProjectKey, query: &str, page: Page<Found>) -> String {
    if query.trim().is_empty() {
        return view! {
            <EmptyState title="Find anything" glyph=Glyph::Search>
                "Type words of a message, a title, a template or a role, or a run's number. The beginning of a word is enough."
            </EmptyState>
        }
        .to_html();
    }
    if page.items.is_empty() {
        return view! {
            <EmptyState title="Nothing found" glyph=Glyph::Search>
                "Nothing in this project has all of these words. Fewer of them, or shorter ones, find more."
            </EmptyState>
        }
        .to_html();
    }
    let next = page.next.map(|cursor| {
        let query: String = leptos_router::location::Url::escape(query);
        format!("?q={query}&cursor={cursor}")
    });
    let rows = page.items.into_iter().map(|found| row(project, found)).collect_view();
    view! {
        <ol class="found" aria-label="Results">{rows}</ol>
        <Pager next/>
    }
    .to_html()
}

fn row(project: &ProjectKey, found: Found) -> AnyView {
    let kind = kind(&found.what);
    let sign = match found.what {
        FoundThing::Run { status, .. } => {
            view! { <StatusBadge status=Status::from(status) icon_only=true/> }.into_any()
        }
        _ => view! { <Icon glyph=kind.glyph()/> }.into_any(),
    };
    let excerpt = found.excerpt.into_iter().map(|piece| {
        if piece.marked { view! { <mark>{piece.text}</mark> }.into_any() } else { piece.text.into_any() }
    });
    let excerpt = excerpt.collect_view();
    let at = format_iso(found.at);
    let day = at.split('T').next().unwrap_or_default().to_owned();
    view! {
        <li>
            <a class="found-link" href=href(project, &found.what) data-row="true">
                <span class="found-sign">{sign}</span>
                <span class="found-title">{found.title}</span>
                <span class="found-kind">{kind.label()}</span>
                <time class="found-time" datetime=at>{day}</time>
                <span class="found-excerpt">{excerpt}</span>
            </a>
        </li>
    }
    .into_any()
}
