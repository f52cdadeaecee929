//! What a browser keeps for its pages: drafts, choices. One that refuses storage, or has no room left, keeps nothing; nothing
//! else is wrong with it then. On the server nobody asks.

use crate::load::parse;
use leptos::prelude::window;
use serde::{Serialize, de::DeserializeOwned};
use web_sys::Storage;

/// For how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// For good, for all tabs.
    InBrowser,
    /// As long as the tab is there, and for it alone.
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

    /// None, too, for what an older Troupe has kept and nobody can read any more.
    pub fn read<T: DeserializeOwned>(self, place: &str) -> Option<T> {
        parse(&self.text(place)?).ok()
    }

    /// Whether it is kept now.
    pub fn put(self, place: &str, text: &str) -> bool {
        self.storage().is_some_and(|storage| storage.set_item(place, text).is_ok())
    }

    /// As [`put`](Self::put), the JSON of a value that has at most `most` bytes.
    pub fn write<T: Serialize>(self, place: &str, value: &T, most: usize) -> bool {
        serde_json::to_string(value).is_ok_and(|text| text.len() <= most && self.put(place, &text))
    }

    pub fn forget(self, place: &str) {
        if let Some(storage) = self.storage() {
            // It fails only where nothing can be kept.
            _ = storage.remove_item(place);
        }
    }
}
