//! What was typed and not sent yet, kept in this browser under the person and the conversation it is for: it outlives the
//! tab, and a session that ends while somebody types.

use domain::{
    id::{TaskId, UserId},
    key::ProjectKey,
};
use leptos::prelude::window;

/// Under what a conversation's draft is kept. A new conversation has one too. Whoever signs in here next has their own.
pub fn draft_key(owner: Option<UserId>, project: &ProjectKey, task: Option<TaskId>) -> String {
    let owner = owner.map(|owner| owner.to_string()).unwrap_or_default();
    match task {
        Some(task) => format!("troupe:draft:{owner}:{project}:{task}"),
        None => format!("troupe:draft:{owner}:{project}:new"),
    }
}

/// A browser that refuses storage has no drafts; nothing else is wrong with it.
fn storage() -> Option<web_sys::Storage> {
    window().local_storage().ok().flatten()
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
