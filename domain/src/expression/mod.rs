//! Expressions: the text in `{{ }}` by which steps read the run's input and each other's outputs.
//!
//! They are minijinja, strict on undefined, and can do nothing but read what they are given. A template's author is
//! trusted with a project, not with the server: the language is cut down before anything is evaluated (`syntax`),
//! and time, memory and output are bounded while it is (`sandbox`). Which steps an expression reads is known from
//! its syntax alone, so `context` is always followed by a fixed name.
//!
//! A text that is one `{{ }}` alone keeps its value's type; any other text is rendered, strings as they are, anything
//! else as JSON. A text without braces is literal.

mod evaluate;
mod filters;
mod sandbox;
mod step_reads;
mod syntax;
mod walk;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

pub use evaluate::Evaluator;
pub use sandbox::{FUEL, MAX_TEXT};

use crate::plan::Plan;
use crate::template::{Step, Template};

/// What an expression may read, as `context`.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// `context.input`
    pub input: &'a Value,
    /// Step name to output: `context['Analyze Code']`. A skipped step's output is null.
    pub outputs: &'a BTreeMap<String, Value>,
    /// What steps wrote by their `outputMapping`. A step of the same name goes first.
    pub mapped: &'a BTreeMap<String, Value>,
    /// `context.conversation`
    pub conversation: &'a Value,
    /// Which item of a forEach it is for.
    pub item: Option<Item<'a>>,
}

/// An item of a forEach, as its step run sees it.
#[derive(Debug, Clone, Copy)]
pub struct Item<'a> {
    /// `item`
    pub value: &'a Value,
    /// `index`: its place in the list, from 0.
    pub index: &'a Value,
}

/// How many items a forEach may have.
pub const MAX_ITEMS: usize = 1_000;

/// An expression that does not parse, reads what is not there, or asks for too much.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", prefix(.path))]
pub struct ExpressionError {
    /// The field within the step or template, such as `inputMapping.code`; empty where the caller knows it alone.
    pub path: String,
    /// The line within the text, from 1.
    pub line: Option<u32>,
    /// Plain words, for the template's author.
    pub message: String,
}

fn prefix(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!("{path}: ") }
}

impl ExpressionError {
    fn new(message: impl Into<String>) -> Self {
        Self { path: String::new(), line: None, message: message.into() }
    }

    fn at(self, path: impl Into<String>) -> Self {
        Self { path: path.into(), ..self }
    }
}

/// What a text reads, by its syntax.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reads {
    /// `X` of every `context.X` and `context['X']`.
    pub context_keys: BTreeSet<String>,
    /// `X` of every `context.input.X`.
    pub input_fields: BTreeSet<String>,
    /// Every name read that the text does not define itself: `context`, `item`, a mapped input, `output`.
    pub names: BTreeSet<String>,
}

/// What a text with `{{ }}` reads; or why it is not one that can be evaluated.
pub fn reads(text: &str) -> Result<Reads, ExpressionError> {
    syntax::Analysis::of_text(text).map(|analysis| analysis.reads)
}

/// As [`reads`], for `condition` and `forEach`, where a bare text is an expression, too.
pub fn reads_bare(text: &str) -> Result<Reads, ExpressionError> {
    syntax::Analysis::of_bare(text).map(|analysis| analysis.reads)
}

/// [`Evaluator::condition`], once. Who evaluates more than once keeps an [`Evaluator`].
pub fn condition(text: &str, context: &Context<'_>) -> Result<bool, ExpressionError> {
    Evaluator::new().condition(text, context)
}

/// [`Evaluator::value`], once.
pub fn value(text: &str, context: &Context<'_>) -> Result<Value, ExpressionError> {
    Evaluator::new().value(text, context)
}

/// [`Evaluator::input_mapping`], once.
pub fn input_mapping(step: &Step, context: &Context<'_>) -> Result<Map<String, Value>, ExpressionError> {
    Evaluator::new().input_mapping(step, context)
}

/// [`Evaluator::prompt`], once.
pub fn prompt(
    step: &Step,
    mapped: &Map<String, Value>,
    context: &Context<'_>,
) -> Result<String, ExpressionError> {
    Evaluator::new().prompt(step, mapped, context)
}

/// [`Evaluator::output_mapping`], once.
pub fn output_mapping(step: &Step, output: &Value) -> Result<Map<String, Value>, ExpressionError> {
    Evaluator::new().output_mapping(step, output)
}

/// [`Evaluator::run_output`], once.
pub fn run_output(template: &Template, plan: &Plan, context: &Context<'_>) -> Result<Value, ExpressionError> {
    Evaluator::new().run_output(template, plan, context)
}
