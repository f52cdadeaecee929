//! Expressions: the text in `{{ }}` by which steps read the run's input and other steps' outputs.
//!
//! Expressions are minijinja, strict on undefined values, and can only read the values of their context. A template's
//! author is trusted with a project, not with the server: `syntax` restricts the language before evaluation, and
//! `sandbox` bounds time, memory and output during it. `context` must be followed by a fixed name, so that the steps
//! an expression reads are known from its syntax alone.
//!
//! A text that is a single `{{ }}` keeps the type of its value. Any other text is rendered: strings verbatim, other
//! values as JSON. A text without braces is literal.

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

/// The values that an expression can read as `context`.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// `context.input`
    pub input: &'a Value,
    /// Step name to output: `context['Analyze Code']`. A skipped step's output is null.
    pub outputs: &'a BTreeMap<String, Value>,
    /// Values that steps wrote by their `outputMapping`. The output of a step with the same name takes precedence.
    pub mapped: &'a BTreeMap<String, Value>,
    /// `context.conversation`
    pub conversation: &'a Value,
    /// The `forEach` item that the evaluation is for.
    pub item: Option<Item<'a>>,
}

/// An item of a `forEach`, as its step run reads it.
#[derive(Debug, Clone, Copy)]
pub struct Item<'a> {
    /// `item`
    pub value: &'a Value,
    /// `index`: the item's position in the list, from 0.
    pub index: &'a Value,
}

/// Maximum number of items of a `forEach`.
pub const MAX_ITEMS: usize = 1_000;

/// An expression that does not parse, reads an undefined value, or exceeds a limit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", prefix(.path))]
pub struct ExpressionError {
    /// The field within the step or template, such as `inputMapping.code`; empty if only the caller knows it.
    pub path: String,
    /// The line within the text, from 1.
    pub line: Option<u32>,
    /// Message for the template's author.
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

/// The names that a text reads, by its syntax.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reads {
    /// `X` of every `context.X` and `context['X']`.
    pub context_keys: BTreeSet<String>,
    /// `X` of every `context.input.X`.
    pub input_fields: BTreeSet<String>,
    /// Whether `context.input` is read without a fixed field after it.
    pub whole_input: bool,
    /// Every name that the text reads and does not define: `context`, `item`, a mapped input, `output`.
    pub names: BTreeSet<String>,
}

/// The names that a text with `{{ }}` reads, or the reason why it cannot be evaluated.
pub fn reads(text: &str) -> Result<Reads, ExpressionError> {
    syntax::Analysis::of_text(text).map(|analysis| analysis.reads)
}

/// As [`reads`], for `condition` and `forEach`, where a text without braces is an expression too.
pub fn reads_bare(text: &str) -> Result<Reads, ExpressionError> {
    syntax::Analysis::of_bare(text).map(|analysis| analysis.reads)
}

/// [`Evaluator::condition`], once. For repeated evaluation, keep an [`Evaluator`].
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
