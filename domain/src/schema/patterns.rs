//! The patterns of a schema, compiled and matched within bounds.
//!
//! A pattern of a few characters can compile to megabytes: `\p{L}{200}` takes ten. So all patterns of a document are compiled
//! out of one [`PatternBudget`], by an engine whose time is linear in the text. Linear is not fast: `(a?){3000}` takes some
//! 400 µs per byte. So each pattern has a number of steps per byte, and one value is allowed [`MAX_STEPS`] steps for all of
//! its texts and names together; `cost` counts them before the value is validated.
//!
//! The patterns of `patternProperties` are compiled twice, here and by jsonschema, and counted twice.

use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use jsonschema::{Keyword, ValidationError};
use regex_automata::meta::{self, Regex};
use regex_automata::util::syntax;
use regex_syntax::hir::{Hir, HirKind};
use serde_json::Value;

use super::check::{SchemaError, Step};
use crate::problem::shorten;

/// The most that the compiled patterns of one schema take, in bytes.
pub(super) const MAX_IN_SCHEMA: usize = 16 * 1024 * 1024;
/// The most that the compiled patterns of all schemas of a document take, in bytes. It bounds the time, too: compiling 10 MB
/// takes a tenth of a second.
const MAX_IN_DOCUMENT: usize = 32 * 1024 * 1024;
/// What the states found while matching take at most, in bytes, per pattern and thread.
pub(super) const MAX_STATES: usize = 256 * 1024;
/// The most steps that matching takes for one value. One takes 10 to 40 ns at worst (measured with patterns that find a new
/// state at every character), so this is about ten seconds; with ordinary patterns it is a hundredth of that.
pub(super) const MAX_STEPS: u64 = 1 << 29;

/// What the patterns of a document may still take.
#[derive(Debug)]
pub(crate) struct PatternBudget<'c> {
    pub(super) left: usize,
    /// Held while patterns are compiled, by one thread at a time: compiling takes more memory than what is kept.
    pub(super) compiling: &'c Mutex<()>,
}

impl<'c> PatternBudget<'c> {
    pub(super) fn new(compiling: &'c Mutex<()>) -> Self {
        Self { left: MAX_IN_DOCUMENT, compiling }
    }
}

/// The compiled patterns of one schema.
#[derive(Debug, Default)]
pub(super) struct Patterns {
    compiled: HashMap<String, Arc<Pattern>>,
    /// What they take, in bytes.
    pub bytes: usize,
    /// How many were compiled, those of `patternProperties` twice.
    pub regexes: usize,
    /// Steps per byte of text, if each place in the schema where a pattern stands applies to it.
    pub steps: u64,
    /// Whether names are matched with any of them.
    pub match_names: bool,
}

#[derive(Debug)]
pub(super) struct Pattern {
    pub source: String,
    regex: Regex,
    /// The most steps that matching takes per byte of text.
    pub steps: u64,
}

impl Pattern {
    pub fn matches(&self, text: &str) -> Match {
        // The engine is known to panic on some patterns that it compiled.
        match catch_unwind(AssertUnwindSafe(|| self.regex.is_match(text))) {
            Ok(true) => Match::Yes,
            Ok(false) => Match::No,
            Err(_) => Match::Failed,
        }
    }
}

/// What came of matching a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Match {
    Yes,
    No,
    /// The engine panicked.
    Failed,
}

/// The keyword that a pattern belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Owner {
    Pattern,
    PatternProperties,
}

/// Whether a schema has any pattern.
pub(super) fn has_patterns(schema: &Value) -> bool {
    let mut found = false;
    let _ = each(schema, &mut Vec::new(), &mut |_, _, _| {
        found = true;
        Err(())
    });
    found
}

impl Patterns {
    /// Compiles the patterns of a schema. Strings that are not valid patterns are skipped; jsonschema reports them.
    pub fn of(schema: &Value, budget: &mut PatternBudget<'_>) -> Result<Self, SchemaError> {
        let mut this = Self::default();
        if !has_patterns(schema) {
            return Ok(this);
        }
        let _turn = budget.compiling.lock().unwrap_or_else(PoisonError::into_inner);
        let mut names = HashSet::new();
        each(schema, &mut Vec::new(), &mut |source, owner, at| {
            let for_names = owner == Owner::PatternProperties && names.insert(source);
            match this.add(source, for_names, (MAX_IN_SCHEMA - this.bytes).min(budget.left)) {
                Ok(bytes) => {
                    budget.left -= bytes;
                    Ok(())
                }
                Err(Refused::NoPattern) => Ok(()),
                Err(Refused::TooLarge) => {
                    let message = if budget.left < MAX_IN_SCHEMA - this.bytes {
                        too_large("the schemas of this document", MAX_IN_DOCUMENT)
                    } else {
                        too_large("this schema", MAX_IN_SCHEMA)
                    };
                    Err(SchemaError { at: at.to_vec(), message })
                }
            }
        })?;
        this.match_names = !names.is_empty();
        Ok(this)
    }

    /// Adds a place where a pattern stands, and compiles the pattern if it is new; returns what it takes in addition, in
    /// bytes. `for_names`: jsonschema compiles it, too.
    fn add(&mut self, source: &str, for_names: bool, most: usize) -> Result<usize, Refused> {
        let (ours, pattern) = match self.compiled.get(source) {
            Some(pattern) => (0, pattern.clone()),
            None => (1, Arc::new(compile(source, most)?)),
        };
        let copies = ours + usize::from(for_names);
        let bytes = copies * pattern.regex.memory_usage();
        if bytes > most {
            return Err(Refused::TooLarge);
        }
        self.bytes += bytes;
        self.regexes += copies;
        self.steps = self.steps.saturating_add(pattern.steps);
        self.compiled.insert(source.to_owned(), pattern);
        Ok(bytes)
    }

    pub fn is_empty(&self) -> bool {
        self.compiled.is_empty()
    }

    /// None where the text is no valid pattern.
    pub fn get(&self, pattern: &str) -> Option<&Pattern> {
        self.compiled.get(pattern).map(|pattern| &**pattern)
    }

    /// The keyword for this pattern; none where the text is no valid pattern.
    pub fn keyword(&self, pattern: &str) -> Option<PatternKeyword> {
        self.compiled.get(pattern).cloned().map(PatternKeyword)
    }
}

fn too_large(whose: &str, most: usize) -> String {
    format!(
        "with this pattern, the patterns of {whose} take more than {} MB when compiled: repeat less, or limit the length by \
         'maxLength'",
        most >> 20
    )
}

enum Refused {
    NoPattern,
    TooLarge,
}

fn compile(pattern: &str, most: usize) -> Result<Pattern, Refused> {
    let translated = jsonschema_regex::to_rust_regex(pattern).map_err(|()| Refused::NoPattern)?;
    let hir = syntax::parse(&translated).map_err(|_| Refused::NoPattern)?;
    let config = meta::Config::new().nfa_size_limit(Some(most)).hybrid_cache_capacity(MAX_STATES);
    let regex = meta::Builder::new()
        .configure(config)
        .build_from_hir(&hir)
        .map_err(|error| if error.size_limit().is_some() { Refused::TooLarge } else { Refused::NoPattern })?;
    if regex.memory_usage() > most {
        return Err(Refused::TooLarge);
    }
    Ok(Pattern { source: pattern.to_owned(), regex, steps: steps_per_byte(&hir) })
}

/// The states that a text may be in at once, which is what a byte takes at worst: one for each character, class, choice,
/// group and repetition, counted as often as it is repeated.
fn steps_per_byte(hir: &Hir) -> u64 {
    let all = |parts: &[Hir]| parts.iter().map(steps_per_byte).fold(0, u64::saturating_add);
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) | HirKind::Class(_) => 1,
        HirKind::Literal(literal) => literal.0.len() as u64,
        HirKind::Capture(group) => steps_per_byte(&group.sub).saturating_add(2),
        HirKind::Concat(parts) => all(parts),
        HirKind::Alternation(parts) => all(parts).saturating_add(1),
        HirKind::Repetition(repetition) => {
            let times = repetition.max.unwrap_or(repetition.min).max(1);
            steps_per_byte(&repetition.sub).saturating_add(1).saturating_mul(times.into())
        }
    }
}

/// Calls `found` with each pattern of a schema, the keyword that it belongs to, and where it stands.
fn each<'s, E>(
    schema: &'s Value,
    at: &mut Vec<Step>,
    found: &mut impl FnMut(&'s str, Owner, &[Step]) -> Result<(), E>,
) -> Result<(), E> {
    match schema {
        Value::Object(map) => {
            for (word, value) in map {
                at.push(Step::Key(word.clone()));
                match (word.as_str(), value) {
                    ("pattern", Value::String(pattern)) => found(pattern, Owner::Pattern, at)?,
                    ("patternProperties", Value::Object(patterns)) => {
                        for pattern in patterns.keys() {
                            at.push(Step::Key(pattern.clone()));
                            found(pattern, Owner::PatternProperties, at)?;
                            at.pop();
                        }
                    }
                    _ => {}
                }
                each(value, at, found)?;
                at.pop();
            }
            Ok(())
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                at.push(Step::Index(index));
                each(item, at, found)?;
                at.pop();
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// The keyword `pattern`.
pub(super) struct PatternKeyword(Arc<Pattern>);

impl PatternKeyword {
    fn judge(&self, text: &str) -> Result<(), String> {
        let shown = || shorten(&self.0.source, 200);
        match self.0.matches(text) {
            Match::Yes => Ok(()),
            Match::No => Err(format!("must match the pattern {}", shown())),
            Match::Failed => Err(format!("cannot be matched with the pattern {}", shown())),
        }
    }
}

impl<'i> Keyword<'i> for PatternKeyword {
    fn validate(&self, value: &'i Value) -> Result<(), ValidationError<'i>> {
        match value.as_str() {
            Some(text) => self.judge(text).map_err(ValidationError::custom),
            None => Ok(()),
        }
    }

    fn is_valid(&self, value: &'i Value) -> bool {
        value.as_str().is_none_or(|text| self.judge(text).is_ok())
    }
}
