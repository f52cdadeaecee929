//! Tabs are links: the URL holds the open one, so they work without script and survive a reload.

use leptos::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tab {
    pub key: String,
    pub label: String,
    pub href: String,
    pub count: Option<u64>,
}

impl Tab {
    pub fn new(key: impl Into<String>, label: impl Into<String>, href: impl Into<String>) -> Self {
        Self { key: key.into(), label: label.into(), href: href.into(), count: None }
    }

    pub fn count(mut self, count: u64) -> Self {
        self.count = Some(count);
        self
    }
}

/// `current` is the key of the open tab.
#[component]
pub fn Tabs(
    #[prop(into)] label: String,
    #[prop(into)] tabs: Signal<Vec<Tab>>,
    #[prop(into)] current: Signal<String>,
) -> impl IntoView {
    view! {
        <nav class="tabs" aria-label=label>
            {move || {
                tabs.get()
                    .into_iter()
                    .map(|tab| {
                        let key = tab.key;
                        view! {
                            <a
                                class="tab"
                                href=tab.href
                                data-noscroll="true"
                                aria-current=move || current.with(|open| *open == key).then_some("page")
                            >
                                {tab.label}
                                {tab.count.map(|count| view! {
                                    <span class="tab-count">{super::time::format_count(count)}</span>
                                })}
                            </a>
                        }
                    })
                    .collect_view()
            }}
        </nav>
    }
}
