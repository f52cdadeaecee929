//! Browser storage for drafts and choices. If a browser refuses storage, or its storage is full, nothing is kept, and
//! everything else still works. Not used on the server.

use crate::load::parse;
use leptos::prelude::window;
use serde::{Serialize, de::DeserializeOwned};
use web_sys::Storage;

/// The lifetime of kept values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Permanent, shared by all tabs.
    InBrowser,
    /// As long as the tab is open, and for this tab only.
    InTab,
}

impl Kept {
    fn storage(self) -> Option<Storage> {
        let storage = match self {
            Self::InBrowser => window().local_storage(),
            Self::InTab => window().session_storage(),
        };
        storage.ok().flatten()
    }

    pub fn text(self, place: &str) -> Option<String> {
        self.storage()?.get_item(place).ok().flatten()
    }

    /// Also `None` if the value was written by an older version and cannot be read any more.
    pub fn read<T: DeserializeOwned>(self, place: &str) -> Option<T> {
        parse(&self.text(place)?).ok()
    }

    /// Returns whether the text was kept.
    pub fn put(self, place: &str, text: &str) -> bool {
        self.storage().is_some_and(|storage| storage.set_item(place, text).is_ok())
    }

    /// As [`put`](Self::put), for the JSON of a value, if it has at most `most` bytes.
    pub fn write<T: Serialize>(self, place: &str, value: &T, most: usize) -> bool {
        serde_json::to_string(value).is_ok_and(|text| text.len() <= most && self.put(place, &text))
    }

    pub fn forget(self, place: &str) {
        if let Some(storage) = self.storage() {
            // Fails only if the browser has no storage.
            _ = storage.remove_item(place);
        }
    }
}
