//! Schemas judged, and values judged by them. Nothing is ever fetched: a reference leads into the schema itself.

use std::sync::{Arc, Mutex, PoisonError, TryLockError, Weak};

use serde_json::{Map, Value};

use super::describe::path_to;
use super::judge::Judge;
use super::patterns::{PatternBudget, has_patterns};
use super::shelf::Shelf;
use crate::problem::{Problem, shorten};
use crate::template::place::{Path, Problems};

/// A step from a value to a part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Key(String),
    Index(usize),
}

/// Why a schema cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", place(.at))]
pub struct SchemaError {
    /// Where in the schema.
    pub(super) at: Vec<Step>,
    pub(super) message: String,
}

impl SchemaError {
    pub(super) fn new(message: String) -> Self {
        Self { at: Vec::new(), message }
    }

    /// Adds the problem at its place in the document; `path` is the schema's.
    fn add_to(&self, at: &[Step], path: &Path<'_>, problems: &mut Problems<'_>) {
        match at {
            [] => problems.add(path, &self.message),
            [Step::Key(key), rest @ ..] => self.add_to(rest, &path.key(key), problems),
            [Step::Index(index), rest @ ..] => self.add_to(rest, &path.index(*index), problems),
        }
    }
}

fn place(at: &[Step]) -> String {
    let place = path_to("", at);
    if place.is_empty() { place } else { format!("at {place}: ") }
}

/// A schema that judges values. Making a judge of it costs more than judging.
#[derive(Debug)]
pub struct Schema(Kept);

#[derive(Debug)]
enum Kept {
    Held(Judge),
    /// Patterns take much memory when they are compiled: one who has many schemas compiles them when they are needed.
    Shelved {
        schema: Arc<Value>,
        shelf: Arc<Shelf>,
        last: Mutex<Weak<Judge>>,
    },
}

impl Schema {
    /// Refuses what is no schema, references that lead outside or nowhere, and patterns that take too much.
    pub fn new(schema: &Value) -> Result<Self, SchemaError> {
        Self::held(schema, &Shelf::default())
    }

    fn held(schema: &Value, shelf: &Shelf) -> Result<Self, SchemaError> {
        Judge::of(&Arc::new(schema.clone()), &mut shelf.pattern_budget()).map(|judge| Self(Kept::Held(judge)))
    }

    /// As [`new`](Self::new); but one with patterns is looked at when it first judges, and compiled again when it has
    /// fallen off the shelf.
    pub fn shelved(schema: &Value, shelf: &Arc<Shelf>) -> Result<Self, SchemaError> {
        if !has_patterns(schema) {
            return Self::held(schema, shelf);
        }
        let (schema, shelf) = (Arc::new(schema.clone()), shelf.clone());
        Ok(Self(Kept::Shelved { schema, shelf, last: Mutex::default() }))
    }

    /// What is wrong with a value; `root` begins every path, such as `input`.
    ///
    /// # Errors
    /// The schema is such that nothing can be judged by it.
    pub fn judge(&self, value: &Value, root: &str) -> Result<Vec<Problem>, SchemaError> {
        let (schema, shelf, last) = match &self.0 {
            Kept::Held(judge) => return Ok(judge.problems(value, root)),
            Kept::Shelved { schema, shelf, last } => (schema, shelf, last),
        };
        let judge = {
            // Whoever needs it meanwhile waits, instead of compiling it as well.
            let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
            match last.upgrade() {
                Some(judge) => {
                    shelf.touch(&judge);
                    judge
                }
                None => {
                    let judge = Arc::new(Judge::of(schema, &mut shelf.pattern_budget())?);
                    *last = Arc::downgrade(&judge);
                    shelf.keep(&judge);
                    judge
                }
            }
        };
        Ok(judge.problems(value, root))
    }

    /// As [`judge`](Self::judge), where a schema that cannot judge is one problem more.
    pub fn problems(&self, value: &Value, root: &str) -> Vec<Problem> {
        self.judge(value, root).unwrap_or_else(|error| {
            vec![Problem::new(root, format!("cannot be checked: its schema is refused: {error}"))]
        })
    }

    /// Whether judging may take long: there are patterns to compile, or large ones. Never waits: async code asks this before
    /// it moves to a thread for blocking work.
    pub fn is_slow(&self) -> bool {
        let last = match &self.0 {
            Kept::Held(judge) => return judge.is_slow(),
            Kept::Shelved { last, .. } => last.try_lock(),
        };
        match last {
            Ok(last) => last.upgrade().is_none_or(|judge| judge.is_slow()),
            // Another thread is compiling it.
            Err(TryLockError::WouldBlock) => true,
            Err(TryLockError::Poisoned(last)) => {
                last.into_inner().upgrade().is_none_or(|judge| judge.is_slow())
            }
        }
    }
}

/// Checks the schema of a template's input, which is always an object.
pub(crate) fn check_input(
    schema: &Value,
    path: &Path<'_>,
    patterns: &mut PatternBudget<'_>,
    problems: &mut Problems<'_>,
) {
    let Some(map) = schema.as_object() else {
        problems.add(path, "must be a JSON Schema: an object with 'type: object' and 'properties'");
        return;
    };
    if let Some(field) = bare_field(map) {
        let shown = shorten(field, 80);
        problems.add(
            path,
            format!("must be a JSON Schema: put '{shown}' under 'properties', beside 'type: object'"),
        );
        return;
    }
    if map.get("type").is_some_and(|kind| kind != "object") {
        problems.add(&path.key("type"), "the input of a template is an object: 'type: object'");
        return;
    }
    check_schema(schema, path, patterns, problems);
}

/// A field written straight into the schema, which would describe nothing there.
fn bare_field(map: &Map<String, Value>) -> Option<&str> {
    let schema_words = [
        "type",
        "properties",
        "required",
        "additionalProperties",
        "$ref",
        "$defs",
        "definitions",
        "allOf",
        "anyOf",
        "oneOf",
        "patternProperties",
    ];
    if schema_words.iter().any(|word| map.contains_key(*word)) {
        return None;
    }
    map.iter().find(|(_, value)| value.get("type").is_some()).map(|(name, _)| name.as_str())
}

/// Checks any schema; `patterns` is what those of its document may still take.
pub(crate) fn check_schema(
    schema: &Value,
    path: &Path<'_>,
    patterns: &mut PatternBudget<'_>,
    problems: &mut Problems<'_>,
) {
    if let Err(error) = Judge::of(&Arc::new(schema.clone()), patterns) {
        error.add_to(&error.at, path, problems);
    }
}

#[cfg(test)]
mod tests;
