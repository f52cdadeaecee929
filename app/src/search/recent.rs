//! The entries chosen most recently in the palette, kept in the browser.

use super::server::Entry;
use crate::kept::Kept;
use domain::key::ProjectKey;

/// Number of kept entries.
const KEPT: usize = 5;

fn place(project: Option<&ProjectKey>) -> String {
    format!("troupe:recent:{}", project.map(ProjectKey::as_str).unwrap_or_default())
}

/// Most recent first.
pub fn read(project: Option<&ProjectKey>) -> Vec<Entry> {
    Kept::InBrowser.read(&place(project)).unwrap_or_default()
}

pub fn remember(project: Option<&ProjectKey>, chosen: &Entry) {
    let mut all = read(project);
    all.retain(|entry| entry.href != chosen.href);
    all.insert(0, chosen.clone());
    all.truncate(KEPT);
    Kept::InBrowser.write(&place(project), &all, usize::MAX);
}
