//! The head of a page: its one `h1`, what it is about, what one can do here.

use leptos::prelude::*;
use leptos_meta::Title;

/// Also names the browser's tab. The children stand under the title: chips, facts, tabs.
#[component]
pub fn PageHeader(
    #[prop(into)] title: Signal<String>,
    /// One line under the title.
    #[prop(optional, into)]
    subtitle: MaybeProp<String>,
    /// At the right: buttons, the primary one last.
    #[prop(optional, into)]
    actions: Option<ViewFnOnce>,
    #[prop(optional)] children: Option<Children>,
) -> impl IntoView {
    // The server writes it when the page's signals cannot be read any more.
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
