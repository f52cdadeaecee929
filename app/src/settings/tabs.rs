//! The head that the settings pages share.

use crate::{
    layout::PageHeader,
    ui::{Tab, Tabs},
};
use leptos::prelude::*;

#[component]
pub fn SettingsHead(current: &'static str) -> impl IntoView {
    let tabs = vec![
        Tab::new("models", "Models", "/settings/models"),
        Tab::new("members", "Members", "/settings/members"),
        Tab::new("tokens", "API tokens", "/settings/tokens"),
    ];
    view! {
        <PageHeader title="Settings">
            <Tabs label="Settings" tabs current/>
        </PageHeader>
    }
}
