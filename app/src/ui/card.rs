//! A bordered part of a page with an optional heading.

use leptos::prelude::*;

#[component]
pub fn Card(
    #[prop(optional, into)] title: Option<String>,
    #[prop(optional, into)] actions: Option<ViewFnOnce>,
    /// Extend the content to the edge, for a table.
    #[prop(optional)]
    flush: bool,
    #[prop(optional, into)] class: String,
    children: Children,
) -> impl IntoView {
    let header = (title.is_some() || actions.is_some()).then(|| {
        view! {
            <header class="card-header">
                {title.map(|title| view! { <h2 class="card-title">{title}</h2> })}
                {actions.map(|actions| view! { <div class="card-actions">{actions.run()}</div> })}
            </header>
        }
    });
    view! {
        <section class=format!("card {class}")>
            {header}
            <div class=if flush { "card-body card-flush" } else { "card-body" }>{children()}</div>
        </section>
    }
}
