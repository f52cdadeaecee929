//! The navigation: a column on the left, icons only when collapsed, a bar at the bottom on a phone.

use leptos::prelude::*;
use leptos_router::hooks::use_location;

use super::{Preferences, Section, section::use_section_project};
use crate::ui::{Glyph, IconButton};

#[component]
pub(super) fn Sidebar(
    project_switcher: Option<ViewFnOnce>,
    count: fn(Section) -> Option<AnyView>,
) -> impl IntoView {
    let preferences = expect_context::<Preferences>();
    let project = use_section_project();
    let path = use_location().pathname;
    let current = Memo::new(move |_| path.with(|path| Section::of_path(path)));
    let links = move || {
        project.get().map(move |project| {
            Section::ALL
                .into_iter()
                .map(move |section| {
                    let count = count(section);
                    view! {
                        <a
                            class="nav-link"
                            href=section.href(&project)
                            title=section.label()
                            data-section=section.segment()
                            aria-current=move || (current.get() == Some(section)).then_some("page")
                        >
                            <crate::ui::Icon glyph=section.glyph()/>
                            <span class="nav-label">{section.label()}</span>
                            {count}
                        </a>
                    }
                    .into_any()
                })
                .collect_view()
        })
    };
    let collapse_label = Signal::derive(move || {
        if preferences.sidebar_collapsed() { "Expand sidebar ([)" } else { "Collapse sidebar ([)" }.to_owned()
    });
    view! {
        <aside class="sidebar">
            <div class="sidebar-head">
                {match project_switcher {
                    Some(switcher) => switcher.run(),
                    None => view! { <a class="wordmark" href="/">"Troupe"</a> }.into_any(),
                }}
            </div>
            <nav class="nav" aria-label="Main">{links}</nav>
            <div class="sidebar-foot">
                <IconButton
                    glyph=Glyph::Sidebar
                    label=collapse_label
                    on_click=move || preferences.toggle_sidebar()
                />
            </div>
        </aside>
    }
}
