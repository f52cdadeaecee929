//! The roles chosen last time for a template, kept in the browser.

use crate::load::parse;
use domain::key::{ProjectKey, TemplateKey};
use leptos::prelude::window;
use std::collections::BTreeMap;

fn place(project: &ProjectKey, template: &TemplateKey) -> String {
    format!("troupe:roles:{project}/{template}")
}

/// Step name to role key; empty when nothing is remembered.
pub fn read(project: &ProjectKey, template: &TemplateKey) -> BTreeMap<String, String> {
    let storage = window().local_storage().ok().flatten();
    let text = storage.and_then(|storage| storage.get_item(&place(project, template)).ok().flatten());
    text.and_then(|text| parse(&text).ok()).unwrap_or_default()
}

pub fn write(project: &ProjectKey, template: &TemplateKey, roles: &BTreeMap<String, String>) {
    if let (Ok(Some(storage)), Ok(text)) = (window().local_storage(), serde_json::to_string(roles)) {
        // A full or forbidden storage costs the memory of a choice, nothing else.
        let _ = storage.set_item(&place(project, template), &text);
    }
}
