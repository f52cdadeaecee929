//! What was typed and not sent yet, kept for this tab's life under the conversation it is for.

use domain::{id::TaskId, key::ProjectKey};
use leptos::prelude::window;

/// Under what a conversation's draft is kept. A new conversation has one too.
pub fn draft_key(project: &ProjectKey, task: Option<TaskId>) -> String {
    match task {
        Some(task) => format!("draft:{project}:{task}"),
        None => format!("draft:{project}:new"),
    }
}

/// A browser that refuses storage has no drafts; nothing else is wrong with it.
fn storage() -> Option<web_sys::Storage> {
    window().session_storage().ok().flatten()
}

pub fn load(key: &str) -> Option<String> {
    storage()?.get_item(key).ok().flatten()
}

pub fn save(key: &str, text: &str) {
    if let Some(storage) = storage() {
        // A full storage keeps the older draft; the text is still in its field.
        _ = if text.is_empty() { storage.remove_item(key) } else { storage.set_item(key, text) };
    }
}
