//! The head of a page: its `h1`, its subject, and its actions.

use leptos::prelude::*;
use leptos_meta::Title;

/// Also sets the browser's tab title. The children are rendered below the title: chips, facts, tabs.
#[component]
pub fn PageHeader(
    #[prop(into)] title: Signal<String>,
    /// One line below the title.
    #[prop(optional, into)]
    subtitle: MaybeProp<String>,
    /// Buttons on the right, the primary one last.
    #[prop(optional, into)]
    actions: Option<ViewFnOnce>,
    #[prop(optional)] children: Option<Children>,
) -> impl IntoView {
    // The server renders the title when the page's signals have been disposed of, so the text is read now.
    #[cfg(feature = "ssr")]
    let text = title.get_untracked();
    #[cfg(not(feature = "ssr"))]
    let text = move || title.get();
    view! {
        <Title text/>
        <header class="page-header">
            <div class="page-header-row">
                <div class="page-header-words">
                    <h1 class="page-title">{move || title.get()}</h1>
                    {move || subtitle.get().map(|text| view! { <p class="page-subtitle">{text}</p> })}
                </div>
                {actions.map(|actions| view! { <div class="page-actions">{actions.run()}</div> })}
            </div>
            {children.map(|children| view! { <div class="page-header-more">{children()}</div> })}
        </header>
    }
}
