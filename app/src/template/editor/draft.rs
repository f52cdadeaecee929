//! Unsaved texts of a template, kept in this browser until they are saved, so that closing a tab loses nothing.
//!
//! A template may have several drafts, oldest first: the draft of an earlier visit stays until the user decides about
//! it, and the current text is kept after it.

use crate::{kept::Kept, load::parse};
use domain::key::{ProjectKey, TemplateKey};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Draft {
    pub source: String,
    pub based_on: Option<u32>,
}

fn place(project: &ProjectKey, key: Option<&TemplateKey>) -> String {
    // '+' is not valid in a key, so no template has this name.
    format!("troupe:draft:{project}/{}", key.map_or("+new", TemplateKey::as_str))
}

pub fn read(project: &ProjectKey, key: Option<&TemplateKey>) -> Vec<Draft> {
    Kept::InBrowser.text(&place(project, key)).map(|text| drafts_of(&text)).unwrap_or_default()
}

fn drafts_of(text: &str) -> Vec<Draft> {
    // Older versions stored a single draft.
    let one = || parse::<Draft>(text).ok().map(|draft| vec![draft]);
    parse::<Vec<Draft>>(text).ok().or_else(one).unwrap_or_default()
}

pub fn write(project: &ProjectKey, key: Option<&TemplateKey>, drafts: &[Draft]) {
    let place = place(project, key);
    if drafts.is_empty() {
        Kept::InBrowser.forget(&place);
    } else {
        Kept::InBrowser.write(&place, &drafts, usize::MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draft_from_before_is_read_as_the_only_one() {
        let draft = Draft { source: "a".into(), based_on: Some(2) };
        let one = serde_json::to_string(&draft).unwrap();
        let many = serde_json::to_string(std::slice::from_ref(&draft)).unwrap();
        assert_eq!(drafts_of(&one), std::slice::from_ref(&draft));
        assert_eq!(drafts_of(&many), [draft]);
        assert!(drafts_of("?").is_empty());
    }
}
