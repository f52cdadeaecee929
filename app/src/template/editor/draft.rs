//! What is being written, kept in this browser until it is saved, so that a closed tab loses nothing.
//!
//! A template may have several drafts, the oldest first: what was kept at an earlier visit stays until somebody says what
//! becomes of it, and what is written meanwhile stands behind it.

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
    // No template is named so: '+' stands in no key.
    format!("troupe:draft:{project}/{}", key.map_or("+new", TemplateKey::as_str))
}

pub fn read(project: &ProjectKey, key: Option<&TemplateKey>) -> Vec<Draft> {
    Kept::InBrowser.text(&place(project, key)).map(|text| drafts_of(&text)).unwrap_or_default()
}

fn drafts_of(text: &str) -> Vec<Draft> {
    // There was one draft alone before there were several.
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
