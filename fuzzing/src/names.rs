//! Names of files, keys, cursors, and fences.

use domain::{
    file::FilePath,
    key::{ModelName, ProjectKey, RoleKey, TemplateKey},
};
use engine::{Cursor, fuzzed};
use std::path::{Component, Path};

pub(crate) const PATHS: &[&str] =
    &["src/calculator.html", "a b/ü.md", "../x", "C:\\x", "con.txt", "my-key", "local/smollm2"];
pub(crate) const PATH_WORDS: &[&str] = &[
    "/", "\\", "..", ".", " ", ":", "con", "com1", "\u{202e}", "\u{200b}", "\0", "~", "-", "_", "é",
    "e\u{301}",
];

pub(crate) const CURSORS: &[&str] = &["42:17,43:5,p:901", "p:0", "", "WzEsIjAiXQ", "e30", "MTc"];
pub(crate) const CURSOR_WORDS: &[&str] =
    &[":", ",", "p", "18446744073709551615", "9223372036854775808", "4294967296", "-1", "W10"];

pub(crate) const FENCES: &[&str] =
    &["```\na\n```", "~~~~\n```js\nb\n```\n~~~~", "x ``` y", "   ````md\n````\n"];
pub(crate) const FENCE_WORDS: &[&str] =
    &["```", "````", "~~~", "~~~~", "\n", "    ", "\r\n", "\t", "json", " "];

pub fn paths(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    if let Ok(path) = FilePath::parse(text) {
        assert_eq!(path.as_str(), text);
        let parts: Vec<_> = Path::new(text).components().collect();
        assert!(parts.iter().all(|part| matches!(part, Component::Normal(_))), "{text:?} leads elsewhere");
        assert_eq!(parts.len(), text.split('/').count(), "{text:?} has parts that vanish");
        let _ = (path.name(), path.extension());
    }
    assert!(TemplateKey::parse(TemplateKey::from_title(text).as_str()).is_ok(), "{text:?}");
    assert!(ProjectKey::parse(ProjectKey::from_title(text).as_str()).is_ok(), "{text:?}");
    assert!(RoleKey::parse(RoleKey::from_title(text).as_str()).is_ok(), "{text:?}");
    if let Ok(model) = ModelName::parse(text) {
        assert_eq!(model.to_string(), text);
        let _ = (model.provider(), model.model());
    }
}

pub fn cursors(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    if let Ok(cursor) = text.parse::<Cursor>() {
        assert_eq!(cursor.to_string().parse(), Ok(cursor.clone()), "{text}");
        let mut places = cursor.runs.values().copied().chain(cursor.project);
        assert!(places.all(|place| i64::try_from(place).is_ok()), "{text}: the store counts to 2^63");
    }
    fuzzed::list_cursor(text);
}

pub fn fences(data: &[u8]) {
    if let Ok(text) = str::from_utf8(data) {
        fuzzed::fences(text);
    }
}
