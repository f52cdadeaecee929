//! What is being written, kept in this browser until it is saved, so that a closed tab loses nothing.

use crate::load::parse;
use domain::key::{ProjectKey, TemplateKey};
use leptos::prelude::window;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Draft {
    pub source: String,
    pub based_on: Option<u32>,
}

fn place(project: &ProjectKey, key: Option<&TemplateKey>) -> String {
    // No template is named so: '+' stands in no key.
    format!("troupe:draft:{project}/{}", key.map_or("+new", TemplateKey::as_str))
}

fn storage() -> Option<web_sys::Storage> {
    window().local_storage().ok().flatten()
}

pub fn read(project: &ProjectKey, key: Option<&TemplateKey>) -> Option<Draft> {
    let text = storage()?.get_item(&place(project, key)).ok().flatten()?;
    parse(&text).ok()
}

/// A full or forbidden storage costs the draft, nothing else.
pub fn write(project: &ProjectKey, key: Option<&TemplateKey>, draft: &Draft) {
    if let (Some(storage), Ok(text)) = (storage(), serde_json::to_string(draft)) {
        let _ = storage.set_item(&place(project, key), &text);
    }
}

pub fn forget(project: &ProjectKey, key: Option<&TemplateKey>) {
    if let Some(storage) = storage() {
        let _ = storage.remove_item(&place(project, key));
    }
}
