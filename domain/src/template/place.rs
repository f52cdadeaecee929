//! Places in a document: readable paths, and their lines and columns.

use std::fmt;

use serde_json::Value;

use crate::problem::{Problem, write_key};

/// Maximum number of listed problems; further ones are only counted.
const MAX_PROBLEMS: usize = 100;
/// Longest name, in bytes, that is compared with others, and the maximum number of names to compare it with.
const MAX_COMPARED: usize = 80;
const MAX_CANDIDATES: usize = 500;

/// A place in a document, as a chain back to its root. Built on the stack during the walk, and formatted only for a
/// problem.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Path<'a> {
    Root,
    Key(&'a Path<'a>, &'a str),
    Index(&'a Path<'a>, usize),
}

impl<'a> Path<'a> {
    pub fn key(&'a self, key: &'a str) -> Path<'a> {
        Path::Key(self, key)
    }

    pub fn index(&'a self, index: usize) -> Path<'a> {
        Path::Index(self, index)
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Path::Root => Ok(()),
            Path::Index(parent, index) => write!(f, "{parent}[{index}]"),
            Path::Key(parent, key) => {
                parent.fmt(f)?;
                write_key(f, key, matches!(parent, Path::Root))
            }
        }
    }
}

/// Line and column of a node, both from 1, and of its children, in the order of the value's children. The place of a
/// mapping's entry is that of its key.
#[derive(Debug, Clone, Default)]
pub(crate) struct Place {
    pub line: u32,
    pub column: u32,
    /// The first line of the text itself, if the source contains the text verbatim (a YAML literal block).
    pub text_line: Option<u32>,
    pub children: Vec<Place>,
}

/// A parsed document: its value, and the place of each of its parts.
#[derive(Debug, Clone)]
pub(crate) struct Located {
    pub value: Value,
    pub place: Place,
}

impl Located {
    /// The place at the path, or of its nearest existing ancestor.
    fn find(&self, path: &Path<'_>) -> (&Value, &Place, bool) {
        let (value, place, exact) = match path {
            Path::Root => return (&self.value, &self.place, true),
            Path::Key(parent, _) | Path::Index(parent, _) => self.find(parent),
        };
        let child = match (value, path) {
            (Value::Object(map), Path::Key(_, key)) => {
                map.iter().position(|(name, _)| name == key).and_then(|at| Some((at, map.get(*key)?)))
            }
            (Value::Array(items), Path::Index(_, index)) => items.get(*index).map(|item| (*index, item)),
            _ => None,
        };
        match child.and_then(|(at, value)| Some((value, place.children.get(at)?))) {
            Some((value, place)) if exact => (value, place, true),
            _ => (value, place, false),
        }
    }
}

/// Collects problems, each with its place if the document's text is known, and separately hints, which do not prevent
/// anything.
#[derive(Debug, Default)]
pub(crate) struct Problems<'d> {
    document: Option<&'d Located>,
    found: Listed,
    hints: Listed,
}

#[derive(Debug, Default)]
struct Listed {
    problems: Vec<Problem>,
    unlisted: usize,
}

impl Listed {
    fn is_full(&self) -> bool {
        self.problems.len() >= MAX_PROBLEMS
    }

    /// Sorted by line, if the lines are known. `kind` is the plural noun for the count of unlisted ones.
    fn into_vec(mut self, kind: &str) -> Vec<Problem> {
        self.problems.sort_by_key(|problem| problem.line);
        if self.unlisted > 0 {
            self.problems.push(Problem::new("", format!("and {} more {kind}", self.unlisted)));
        }
        self.problems
    }
}

impl<'d> Problems<'d> {
    pub fn of(document: Option<&'d Located>) -> Self {
        Self { document, ..Self::default() }
    }

    pub fn add(&mut self, path: &Path<'_>, message: impl Into<String>) {
        self.add_in_text(path, None, message);
    }

    /// Adds a problem inside a text; `line` counts from 1 within the text.
    pub fn add_in_text(&mut self, path: &Path<'_>, line: Option<u32>, message: impl Into<String>) {
        if self.found.is_full() {
            self.found.unlisted += 1;
            return;
        }
        let problem = self.placed(path, line, message);
        self.found.problems.push(problem);
    }

    /// Adds a hint: a probable mistake that does not make the document invalid.
    pub fn hint(&mut self, path: &Path<'_>, message: impl Into<String>) {
        if self.hints.is_full() {
            self.hints.unlisted += 1;
            return;
        }
        let hint = self.placed(path, None, message);
        self.hints.problems.push(hint);
    }

    /// Whether the maximum number of hints is reached.
    pub fn enough_hints(&self) -> bool {
        self.hints.is_full()
    }

    fn placed(&self, path: &Path<'_>, line: Option<u32>, message: impl Into<String>) -> Problem {
        let mut problem = Problem::new(path.to_string(), message);
        if let Some(document) = self.document {
            let (_, place, exact) = document.find(path);
            problem.line = Some(place.line);
            problem.column = Some(place.column);
            if let (true, Some(first), Some(line)) = (exact, place.text_line, line) {
                problem.line = Some(first + line.saturating_sub(1));
                problem.column = None;
            }
        }
        problem
    }

    /// Whether there are no problems; hints do not count.
    pub fn is_empty(&self) -> bool {
        self.found.problems.is_empty()
    }

    /// The candidate that was probably meant: at most a third of its letters differ. Also `None` once the maximum
    /// number of problems is listed, because comparing names is the expensive part of reporting.
    pub fn nearest<'c>(&self, word: &str, candidates: impl Iterator<Item = &'c str>) -> Option<&'c str> {
        if self.found.is_full() || word.len() > MAX_COMPARED {
            return None;
        }
        let lower = word.to_lowercase();
        candidates
            .take(MAX_CANDIDATES)
            .filter(|candidate| candidate.len() <= MAX_COMPARED)
            .map(|candidate| (strsim::osa_distance(&lower, &candidate.to_lowercase()), candidate))
            .min_by_key(|(distance, _)| *distance)
            .filter(|(distance, candidate)| *distance <= candidate.chars().count() / 3)
            .map(|(_, candidate)| candidate)
    }

    pub fn into_vec(self) -> Vec<Problem> {
        self.into_problems_and_hints().0
    }

    pub fn into_problems_and_hints(self) -> (Vec<Problem>, Vec<Problem>) {
        (self.found.into_vec("problems"), self.hints.into_vec("hints"))
    }
}
