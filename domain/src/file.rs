//! Files that runs write: their names, and the file changes in a model's answer.
//!
//! Files live in the store, under their conversation; a name is never used as a path on the server's disk. Names are
//! nevertheless restricted to those that unpack safely on every operating system, because users download the files.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The longest path, in characters.
pub const MAX_PATH: usize = 200;
/// The largest file, in bytes.
pub const MAX_FILE: usize = 10 * 1024 * 1024;
/// Maximum number of files that one answer may change.
pub const MAX_CHANGES: usize = 200;
/// Maximum number of edits in one answer.
pub const MAX_EDITS: usize = 1_000;

/// A file's name within its conversation, with `/` between folders, such as `src/calculator.html`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FilePath(String);

/// Why a text is not a valid file name, worded for the reader of the step's error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    #[error("a file needs a name")]
    Empty,
    #[error("a file's name has at most {MAX_PATH} characters, this one has {0}")]
    TooLong(usize),
    #[error("'{0}' leads out of the run's files: names are relative and have no '..' in them")]
    Outside(String),
    #[error("'{0}' has a character that cannot stand in a file's name")]
    Character(String),
    #[error("'{0}' is a name that some systems keep for themselves")]
    Reserved(String),
}

/// Device names that Windows reserves, with any extension.
const DEVICES: [&str; 4] = ["con", "prn", "aux", "nul"];

impl FilePath {
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let length = text.chars().count();
        let shown = || text.chars().take(80).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
        if text.is_empty() {
            return Err(PathError::Empty);
        }
        if length > MAX_PATH {
            return Err(PathError::TooLong(length));
        }
        let drive = text.as_bytes().get(1) == Some(&b':');
        let mut parts = text.split(['/', '\\']);
        if text.starts_with(['/', '\\', '~']) || drive || parts.any(|part| part == "..") {
            return Err(PathError::Outside(shown()));
        }
        if text.chars().any(|c| c.is_control() || is_hidden(c) || "\\:*?\"<>|".contains(c)) {
            return Err(PathError::Character(shown()));
        }
        for part in text.split('/') {
            let stem = part.split('.').next().unwrap_or_default().to_lowercase();
            let numbered = stem.strip_prefix("com").or_else(|| stem.strip_prefix("lpt"));
            let device = DEVICES.contains(&stem.as_str())
                || numbered
                    .is_some_and(|digit| digit.len() == 1 && digit.chars().all(|c| c.is_ascii_digit()));
            if part.is_empty() || part == "." || part.ends_with(['.', ' ']) || part.starts_with(' ') || device
            {
                return Err(PathError::Reserved(shown()));
            }
        }
        Ok(Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part after the last `/`.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// The part after the last dot, in lowercase.
    pub fn extension(&self) -> Option<String> {
        self.name().rsplit_once('.').map(|(_, extension)| extension.to_lowercase())
    }
}

/// Characters that change the text direction or are invisible: a name with them can imitate another name.
fn is_hidden(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

impl fmt::Display for FilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for FilePath {
    type Error = PathError;
    fn try_from(text: String) -> Result<Self, PathError> {
        Self::parse(&text)
    }
}

impl From<FilePath> for String {
    fn from(path: FilePath) -> String {
        path.0
    }
}

/// A change of one file in a model's answer: the whole content, or edits to the current content.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileChange {
    pub path: String,
    #[serde(default)]
    pub content: Option<String>,
    #[serde(default)]
    pub edits: Option<Vec<Edit>>,
}

impl FileChange {
    /// Rough estimate of the work that the change takes.
    pub fn bytes(&self) -> usize {
        let edits = self.edits.as_ref().map_or(0, Vec::len);
        self.content.as_ref().map_or(0, String::len) + edits * 64 * 1024
    }
}

/// Replaces the only occurrence of `search`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edit {
    pub search: String,
    pub replace: String,
}

/// Why a change cannot be applied, worded for the model, which receives it with the retry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    #[error(transparent)]
    Path(#[from] PathError),
    #[error("{path}: give either 'content' or 'edits'")]
    Neither { path: String },
    #[error("{path}: there is no such file to edit; give its whole 'content'")]
    Missing { path: String },
    #[error("{path}, edit {number}: its 'search' is empty")]
    EmptySearch { path: String, number: usize },
    #[error("{path}, edit {number}: its 'search' does not stand in the file")]
    NotFound { path: String, number: usize },
    #[error(
        "{path}, edit {number}: its 'search' stands in the file {times} times; give more of what is around it"
    )]
    Ambiguous { path: String, number: usize, times: usize },
    #[error("{path} would be larger than {} MB", MAX_FILE / 1024 / 1024)]
    TooLarge { path: String },
    #[error("the answer changes {0} files; at most {MAX_CHANGES} are taken at once")]
    TooMany(usize),
    #[error("the answer makes {0} edits; at most {MAX_EDITS} are taken at once")]
    TooManyEdits(usize),
}

/// A file to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    pub path: FilePath,
    pub content: String,
    /// Whether the content was made by editing the current version.
    pub edited: bool,
}

/// Applies the changes to the current files, which `current` returns by path. All or nothing: one change that cannot
/// be applied fails them all.
pub fn apply_changes(
    changes: &[FileChange],
    current: impl Fn(&FilePath) -> Option<String>,
) -> Result<Vec<Written>, ChangeError> {
    if changes.len() > MAX_CHANGES {
        return Err(ChangeError::TooMany(changes.len()));
    }
    let edits: usize = changes.iter().filter_map(|change| change.edits.as_ref()).map(Vec::len).sum();
    if edits > MAX_EDITS {
        return Err(ChangeError::TooManyEdits(edits));
    }
    let mut written: Vec<Written> = Vec::new();
    for change in changes {
        let path = FilePath::parse(&change.path)?;
        let name = || path.to_string();
        let before = written.iter().position(|file| file.path == path);
        let (content, edited) = match (&change.content, change.edits.as_deref().unwrap_or_default()) {
            (Some(content), []) => (content.clone(), false),
            (None, edits @ [_, ..]) => {
                let base = before.map(|at| written[at].content.clone()).or_else(|| current(&path));
                let base = base.ok_or_else(|| ChangeError::Missing { path: name() })?;
                (edit(&path, base, edits)?, true)
            }
            _ => return Err(ChangeError::Neither { path: name() }),
        };
        if content.len() > MAX_FILE {
            return Err(ChangeError::TooLarge { path: name() });
        }
        let file = Written { path, content, edited };
        match before {
            Some(at) => written[at] = file,
            None => written.push(file),
        }
    }
    Ok(written)
}

fn edit(path: &FilePath, mut text: String, edits: &[Edit]) -> Result<String, ChangeError> {
    for (number, edit) in (1..).zip(edits) {
        let path = || path.to_string();
        if edit.search.is_empty() {
            return Err(ChangeError::EmptySearch { path: path(), number });
        }
        match text.matches(&edit.search).count() {
            1 => text = text.replacen(&edit.search, &edit.replace, 1),
            0 => return Err(ChangeError::NotFound { path: path(), number }),
            times => return Err(ChangeError::Ambiguous { path: path(), number, times }),
        }
        if text.len() > MAX_FILE {
            return Err(ChangeError::TooLarge { path: path() });
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_within_the_runs_files() {
        for good in ["calculator.html", "src/main.rs", "a b/c-d_e.txt", "Übersicht.md", ".env", "console.log"]
        {
            assert_eq!(FilePath::parse(good).unwrap().as_str(), good);
        }
        let long = "x".repeat(300);
        let bad = [
            "",
            "/etc/passwd",
            "../x",
            "a/../../x",
            "a\\..\\x",
            "C:\\x",
            "c:x",
            "~/x",
            "a//b",
            "a/",
            "./a",
            "a/.",
            "nul",
            "NUL.txt",
            "a/con.tar.gz",
            "COM1",
            "lpt9.log",
            "x\0y",
            "x\ny",
            "a.",
            "a ",
            " a",
            "a|b",
            "a?b",
            "safe\u{202e}txt.exe",
            &long,
        ];
        for bad in bad {
            let refused = FilePath::parse(bad).unwrap_err().to_string();
            assert!(
                !refused.is_empty() && !refused.contains('\0') && refused.len() < 400,
                "{bad}: {refused}"
            );
        }
        assert!(serde_json::from_str::<FilePath>("\"../x\"").is_err());
    }

    fn change(json: serde_json::Value) -> FileChange {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn files_are_written_and_edited_or_nothing_is() {
        use serde_json::json;
        let current = |path: &FilePath| (path.as_str() == "a.txt").then(|| "one two two".to_owned());
        let make = change(json!({"path": "b.txt", "content": "new"}));
        let mend = change(json!({"path": "a.txt", "edits": [{"search": "one", "replace": "1"}]}));
        let again = change(json!({"path": "b.txt", "edits": [{"search": "new", "replace": "newer"}]}));
        let written = apply_changes(&[make.clone(), mend, again], current).unwrap();
        let shown: Vec<_> = written.iter().map(|f| (f.path.as_str(), f.content.as_str(), f.edited)).collect();
        assert_eq!(shown, [("b.txt", "newer", true), ("a.txt", "1 two two", true)]);

        for (refused, part) in [
            (
                json!({"path": "a.txt", "edits": [{"search": "two", "replace": "2"}]}),
                "stands in the file 2 times",
            ),
            (
                json!({"path": "a.txt", "edits": [{"search": "six", "replace": "6"}]}),
                "edit 1: its 'search' does not",
            ),
            (json!({"path": "a.txt", "edits": [{"search": "", "replace": "6"}]}), "is empty"),
            (json!({"path": "c.txt", "edits": [{"search": "a", "replace": "b"}]}), "no such file"),
            (json!({"path": "c.txt"}), "either"),
            (json!({"path": "c.txt", "content": "x", "edits": [{"search": "a", "replace": "b"}]}), "either"),
            (json!({"path": "../c.txt", "content": "x"}), "leads out"),
        ] {
            let error = apply_changes(&[make.clone(), change(refused)], current).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
