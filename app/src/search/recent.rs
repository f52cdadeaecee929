//! What was chosen last in the palette, kept in the browser.

use super::server::Entry;
use crate::load::parse;
use domain::key::ProjectKey;
use leptos::prelude::window;

/// How many are kept.
const KEPT: usize = 5;

fn place(project: Option<&ProjectKey>) -> String {
    format!("troupe:recent:{}", project.map(ProjectKey::as_str).unwrap_or_default())
}

/// The last one first.
pub fn read(project: Option<&ProjectKey>) -> Vec<Entry> {
    let storage = window().local_storage().ok().flatten();
    let text = storage.and_then(|storage| storage.get_item(&place(project)).ok().flatten());
    text.and_then(|text| parse(&text).ok()).unwrap_or_default()
}

pub fn remember(project: Option<&ProjectKey>, chosen: &Entry) {
    let mut all = read(project);
    all.retain(|entry| entry.href != chosen.href);
    all.insert(0, chosen.clone());
    all.truncate(KEPT);
    if let (Ok(Some(storage)), Ok(text)) = (window().local_storage(), serde_json::to_string(&all)) {
        // A full or forbidden storage costs the memory of a choice, nothing else.
        _ = storage.set_item(&place(project), &text);
    }
}
