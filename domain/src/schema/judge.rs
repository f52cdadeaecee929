//! A compiled schema, which validates values within bounds of memory and time.

use std::sync::Arc;

use jsonschema::{PatternOptions, ValidationError, Validator};
use serde_json::Value;

use super::bounds::{MAX_LEVELS, check_references, is_too_deep};
use super::check::SchemaError;
use super::cost::{check_cost, has_unevaluated, text_bytes};
use super::describe::{NO_PATTERN, describe_schema, path_to, problem, steps};
use super::patterns::{MAX_IN_SCHEMA, MAX_STATES, MAX_STEPS, PatternBudget, Patterns};
use crate::problem::Problem;

/// Approximately what a compiled pattern takes beside its own size, in bytes: the states found while matching.
pub(super) const BESIDE_PATTERN: usize = 64 * 1024;
/// Patterns that take more, in bytes, may take long to match.
const SLOW: usize = 1024 * 1024;
/// Patterns with more steps per byte of text may take long to match: a megabyte takes about two seconds at worst.
const SLOW_STEPS: u64 = 100;
/// Problems of one value beyond this many are not listed.
const MAX_PROBLEMS: usize = 50;

#[derive(Debug)]
pub(super) struct Judge {
    validator: Validator,
    patterns: Arc<Patterns>,
    schema: Arc<Value>,
    /// Whether a place of the value may be visited more than once by the same part of the schema.
    repeats: bool,
}

impl Judge {
    pub fn of(schema: &Arc<Value>, budget: &mut PatternBudget<'_>) -> Result<Self, SchemaError> {
        let refers = check_references(schema).map_err(SchemaError::new)?;
        let patterns = Arc::new(Patterns::of(schema, budget)?);
        let keywords = patterns.clone();
        let validator = jsonschema::options()
            // For the names in `patternProperties`. jsonschema compiles these patterns itself, with the same engine, because
            // a keyword of ours cannot validate by the schemas below it.
            .with_pattern_options(
                PatternOptions::regex().size_limit(MAX_IN_SCHEMA).dfa_size_limit(MAX_STATES),
            )
            .with_keyword("pattern", move |_, pattern, _| {
                match pattern.as_str().and_then(|it| keywords.keyword(it)) {
                    Some(keyword) => Ok(Box::new(keyword)),
                    None => Err(ValidationError::custom(NO_PATTERN)),
                }
            })
            .should_validate_formats(false)
            .build(schema)
            .map_err(|error| {
                let what = describe_schema(&error);
                SchemaError { at: steps(&error), message: format!("this is no valid JSON Schema: {what}") }
            })?;
        let repeats = refers || has_unevaluated(schema);
        Ok(Self { validator, patterns, schema: schema.clone(), repeats })
    }

    /// Approximately what its patterns take, in bytes.
    pub fn bytes(&self) -> usize {
        self.patterns.bytes + self.patterns.regexes * BESIDE_PATTERN
    }

    pub fn is_slow(&self) -> bool {
        self.bytes() > SLOW || self.patterns.steps > SLOW_STEPS
    }

    pub fn problems(&self, value: &Value, root: &str) -> Vec<Problem> {
        if is_too_deep(value, 0) {
            return vec![Problem::new(root, format!("is nested deeper than {MAX_LEVELS} levels"))];
        }
        if self.may_be_costly(value)
            && let Err(refusal) = check_cost(&self.schema, &self.patterns, value, MAX_STEPS)
        {
            return vec![Problem::new(path_to(root, &refusal.at), refusal.message)];
        }
        self.validator.iter_errors(value).take(MAX_PROBLEMS).map(|error| problem(&error, root)).collect()
    }

    fn may_be_costly(&self, value: &Value) -> bool {
        let steps = || self.patterns.steps.saturating_mul(text_bytes(value));
        self.repeats || self.patterns.match_names || (!self.patterns.is_empty() && steps() > MAX_STEPS)
    }
}
