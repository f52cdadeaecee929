//! The head that the settings pages share.

use crate::{
    layout::PageHeader,
    ui::{Tab, Tabs},
};
use domain::key::ProjectKey;
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

/// `project` is the page's project, which the tabs keep in their links; defaults to the URL's.
#[component]
pub fn SettingsHead(
    current: &'static str,
    #[prop(optional, into)] project: Signal<Option<ProjectKey>>,
) -> impl IntoView {
    let query = use_query_map();
    let tabs = Signal::derive(move || {
        let asked = query.read().get("project").and_then(|key| ProjectKey::parse(&key).ok());
        let query = project.get().or(asked).map(|key| format!("?project={key}")).unwrap_or_default();
        vec![
            Tab::new("models", "Models", format!("/settings/models{query}")),
            Tab::new("members", "Members", format!("/settings/members{query}")),
            Tab::new("tokens", "API tokens", format!("/settings/tokens{query}")),
        ]
    });
    view! {
        <PageHeader title="Settings">
            <Tabs label="Settings" tabs current/>
        </PageHeader>
    }
}
