//! Finds the paths of files in an answer that is still streaming, so that people see which file is being written.
//!
//! The answer is JSON with `"path": "…"` in it. The result is read from the complete answer; these paths are for
//! display.

use domain::file::FilePath;

const FIELD: &str = "\"path\"";
/// A path that is longer than this, in bytes, is ignored.
const LONGEST: usize = 2048;

/// The position up to which an answer was searched.
#[derive(Default)]
pub(super) struct Paths {
    searched: usize,
}

impl Paths {
    /// Searches the new part of the text, and calls `found` once for each complete path.
    pub fn read(&mut self, text: &str, found: impl Fn(FilePath)) {
        while let Some(at) = text[self.searched..].find(FIELD) {
            let after = self.searched + at + FIELD.len();
            match value(&text[after..]) {
                Value::Whole(path, end) => {
                    self.searched = after + end;
                    if let Ok(path) = FilePath::parse(&path) {
                        found(path);
                    }
                }
                Value::Open if text.len() - after < LONGEST => {
                    // Searched again when more text has arrived.
                    self.searched += at;
                    return;
                }
                Value::Open | Value::None => self.searched = after,
            }
        }
        // The field's name itself may be incomplete.
        let rest = text.len().saturating_sub(FIELD.len());
        self.searched = self.searched.max(text.floor_char_boundary(rest));
    }
}

enum Value {
    /// The text, and the position of its end.
    Whole(String, usize),
    /// The text is incomplete.
    Open,
    None,
}

fn value(rest: &str) -> Value {
    let trimmed = rest.trim_start();
    let Some(quoted) = trimmed.strip_prefix(':') else {
        return if trimmed.is_empty() { Value::Open } else { Value::None };
    };
    let quoted = quoted.trim_start();
    if !quoted.starts_with('"') {
        return if quoted.is_empty() { Value::Open } else { Value::None };
    }
    let mut strings = serde_json::Deserializer::from_str(quoted).into_iter::<String>();
    match strings.next() {
        Some(Ok(text)) => Value::Whole(text, rest.len() - quoted.len() + strings.byte_offset()),
        Some(Err(error)) if error.is_eof() => Value::Open,
        _ => Value::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    #[test]
    fn each_path_is_found_once_however_the_answer_is_cut() {
        let answer = r#"{"files": [{"path" : "a.txt", "content": "say \"path\""}, {"path":"dir/\u0062.txt"},
            {"path": null}, {"path": "../no"}, {"path": "c.txt"}], "summary": "ü"}"#;
        for size in 1..=answer.len() {
            let (mut paths, found) = (Paths::default(), RefCell::new(Vec::new()));
            for end in (0..answer.len()).step_by(size).chain([answer.len()]) {
                let text = &answer[..answer.floor_char_boundary(end)];
                paths.read(text, |path| found.borrow_mut().push(path.to_string()));
            }
            assert_eq!(found.into_inner(), ["a.txt", "dir/b.txt", "c.txt"], "pieces of {size}");
        }
    }
}
