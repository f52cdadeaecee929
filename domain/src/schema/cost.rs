//! What validating a value costs, counted before the value is validated. References let a small schema do work that doubles
//! with every level of a value, and a list may hold thousands of texts for one large pattern; validators do all of it.
//!
//! The count covers every branch, as if none decided early. It is not exact: jsonschema may visit the branches of nested
//! `anyOf` and `oneOf` once more per level.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::bounds::{Inner, resolve, same_place};
use super::check::Step;
use super::patterns::{Match, Patterns};
use crate::problem::shorten;

/// Visits of a part of the value by a part of the schema.
const MAX_VISITS: u64 = 5_000_000;
/// A schema with `unevaluatedProperties` or `unevaluatedItems` visits its branches again to learn what they evaluated.
const UNEVALUATED: u64 = 3;

/// Why a value is not validated, and the place in it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub at: Vec<Step>,
    pub message: String,
}

/// Refuses a value that takes more visits than are allowed, or more than `most_steps` steps of matching patterns.
pub(super) fn check_cost(
    schema: &Value,
    patterns: &Patterns,
    value: &Value,
    most_steps: u64,
) -> Result<(), Refusal> {
    let (known, weights) = (HashMap::new(), HashMap::new());
    let spent = Cost::default();
    Walk { schema, patterns, most_steps, known, weights, spent, at: Vec::new() }
        .count(schema, value)
        .map(drop)
}

/// The bytes of all texts in a value, names of fields included.
pub(super) fn text_bytes(value: &Value) -> u64 {
    match value {
        Value::String(text) => text.len() as u64,
        Value::Array(items) => items.iter().map(text_bytes).sum(),
        Value::Object(map) => map.iter().map(|(name, value)| name.len() as u64 + text_bytes(value)).sum(),
        _ => 0,
    }
}

/// Whether `unevaluatedProperties` or `unevaluatedItems` stands anywhere in a schema.
pub(super) fn has_unevaluated(schema: &Value) -> bool {
    match schema {
        Value::Object(map) => looks_back(map) || map.values().any(has_unevaluated),
        Value::Array(items) => items.iter().any(has_unevaluated),
        _ => false,
    }
}

fn looks_back(part: &Map<String, Value>) -> bool {
    part.contains_key("unevaluatedProperties") || part.contains_key("unevaluatedItems")
}

#[derive(Debug, Clone, Copy, Default)]
struct Cost {
    visits: u64,
    /// Steps of matching patterns.
    steps: u64,
}

impl Cost {
    fn add(&mut self, other: Self) {
        self.visits = self.visits.saturating_add(other.visits);
        self.steps = self.steps.saturating_add(other.steps);
    }

    fn times(self, visits: u64, steps: u64) -> Self {
        Self { visits: self.visits.saturating_mul(visits), steps: self.steps.saturating_mul(steps) }
    }
}

#[derive(Clone, Copy)]
enum At<'v> {
    Key(&'v str),
    Index(usize),
}

/// Parts of schema and value are known by their addresses; both stay where they are meanwhile.
struct Walk<'s, 'v> {
    schema: &'s Value,
    patterns: &'s Patterns,
    most_steps: u64,
    /// The cost of each part of the value under each part of the schema.
    known: HashMap<(*const Value, *const Value), Cost>,
    /// The cost of a text of one byte under each part of the schema.
    weights: HashMap<*const Value, Cost>,
    /// The cost of all that was counted so far.
    spent: Cost,
    /// The place in the value.
    at: Vec<At<'v>>,
}

impl<'s, 'v> Walk<'s, 'v> {
    /// The cost of a part of the value under a part of the schema; it is spent.
    fn count(&mut self, part: &'s Value, value: &'v Value) -> Result<Cost, Refusal> {
        if let Value::String(text) = value {
            return self.text(part, text);
        }
        let key = (std::ptr::from_ref(part), std::ptr::from_ref(value));
        if let Some(cost) = self.known.get(&key).copied() {
            return self.spend(cost);
        }
        if self.known.len() as u64 > MAX_VISITS / 8 {
            return Err(too_many_visits());
        }
        let mut cost = self.spend(Cost { visits: 1, steps: 0 })?;
        let mut repeated = Cost::default();
        for inner in same_place(part) {
            if let Some(inner) = self.target(&inner) {
                repeated.add(self.count(inner, value)?);
            }
        }
        if let Some(part) = part.as_object() {
            match value {
                Value::Object(map) => self.object(part, map, &mut cost, &mut repeated)?,
                Value::Array(items) => cost.add(self.array(part, items)?),
                _ => {}
            }
            if looks_back(part) {
                let again = UNEVALUATED - 1;
                cost.add(self.spend(repeated.times(again, again))?);
            }
        }
        cost.add(repeated);
        self.known.insert(key, cost);
        Ok(cost)
    }

    /// Adds the cost of an object's fields to `cost`, and that of matching their names to `names`.
    fn object(
        &mut self,
        part: &'s Map<String, Value>,
        map: &'v Map<String, Value>,
        cost: &mut Cost,
        names: &mut Cost,
    ) -> Result<(), Refusal> {
        let below = |word: &str| part.get(word).and_then(Value::as_object).into_iter().flatten();
        for (name, inner) in below("properties") {
            if let Some((name, value)) = map.get_key_value(name) {
                cost.add(self.below(At::Key(name), inner, value)?);
            }
        }
        let mut matched = vec![false; map.len()];
        for (pattern, inner) in below("patternProperties") {
            for ((name, value), matched) in map.iter().zip(&mut matched) {
                if self.name_matches(pattern, name, names)? {
                    *matched = true;
                    cost.add(self.below(At::Key(name), inner, value)?);
                }
            }
        }
        if let Some(inner) = part.get("propertyNames") {
            for name in map.keys() {
                cost.add(self.text(inner, name)?);
            }
        }
        let declared = part.get("properties").and_then(Value::as_object);
        if let Some(inner) = part.get("additionalProperties") {
            for ((name, value), matched) in map.iter().zip(&matched) {
                if !matched && !declared.is_some_and(|declared| declared.contains_key(name)) {
                    cost.add(self.below(At::Key(name), inner, value)?);
                }
            }
        }
        if let Some(inner) = part.get("unevaluatedProperties") {
            for (name, value) in map {
                cost.add(self.below(At::Key(name), inner, value)?);
            }
        }
        Ok(())
    }

    fn array(&mut self, part: &'s Map<String, Value>, items: &'v [Value]) -> Result<Cost, Refusal> {
        let mut cost = Cost::default();
        for (word, inner) in part {
            match (word.as_str(), inner) {
                ("items" | "prefixItems", Value::Array(inner)) => {
                    for (index, (inner, item)) in inner.iter().zip(items).enumerate() {
                        cost.add(self.below(At::Index(index), inner, item)?);
                    }
                }
                ("items" | "additionalItems" | "contains" | "unevaluatedItems", inner) => {
                    for (index, item) in items.iter().enumerate() {
                        cost.add(self.below(At::Index(index), inner, item)?);
                    }
                }
                _ => {}
            }
        }
        Ok(cost)
    }

    fn below(&mut self, at: At<'v>, inner: &'s Value, value: &'v Value) -> Result<Cost, Refusal> {
        self.at.push(at);
        let cost = self.count(inner, value)?;
        self.at.pop();
        Ok(cost)
    }

    /// Whether a name in `patternProperties` matches. It is matched here to count only what applies, and again by jsonschema.
    fn name_matches(&mut self, pattern: &str, name: &str, names: &mut Cost) -> Result<bool, Refusal> {
        let Some(pattern) = self.patterns.get(pattern) else { return Ok(false) };
        let once = Cost { visits: 0, steps: pattern.steps.saturating_mul(name.len() as u64) };
        if once.steps > self.most_steps {
            let message = format!(
                "has a name of more than {} bytes: its pattern is large",
                self.most_steps / pattern.steps
            );
            return Err(self.refusal(message));
        }
        names.add(self.spend(once.times(0, 2))?);
        match pattern.matches(name) {
            Match::Yes => Ok(true),
            Match::No => Ok(false),
            Match::Failed => {
                let shown = shorten(&pattern.source, 200);
                Err(self.refusal(format!("has a name that cannot be matched with the pattern {shown}")))
            }
        }
    }

    /// The cost of a text, which is spent.
    fn text(&mut self, part: &'s Value, text: &str) -> Result<Cost, Refusal> {
        let weight = self.weight(part);
        let cost = weight.times(1, text.len() as u64);
        if cost.steps > self.most_steps {
            let most = self.most_steps / weight.steps;
            return Err(self.refusal(format!("must have at most {most} bytes: its pattern is large")));
        }
        self.spend(cost)
    }

    /// The visits of any text under a part of the schema, and the steps per byte.
    fn weight(&mut self, part: &'s Value) -> Cost {
        let key = std::ptr::from_ref(part);
        if let Some(weight) = self.weights.get(&key) {
            return *weight;
        }
        let pattern =
            part.get("pattern").and_then(Value::as_str).and_then(|pattern| self.patterns.get(pattern));
        let mut weight = Cost { visits: 1, steps: pattern.map_or(0, |pattern| pattern.steps) };
        for inner in same_place(part) {
            if let Some(inner) = self.target(&inner) {
                weight.add(self.weight(inner));
            }
        }
        self.weights.insert(key, weight);
        weight
    }

    fn target(&self, inner: &Inner<'s>) -> Option<&'s Value> {
        match inner {
            Inner::Reference(reference) => resolve(self.schema, reference),
            Inner::Schema(inner) => Some(inner),
        }
    }

    fn spend(&mut self, cost: Cost) -> Result<Cost, Refusal> {
        self.spent.add(cost);
        if self.spent.visits > MAX_VISITS {
            return Err(too_many_visits());
        }
        if self.spent.steps > self.most_steps {
            let message = "takes too long to check: this is too much text for the patterns of its schema";
            return Err(self.refusal(message.to_owned()));
        }
        Ok(cost)
    }

    /// A refusal at the present place.
    fn refusal(&self, message: String) -> Refusal {
        let at = self.at.iter().map(|at| match *at {
            At::Key(name) => Step::Key(name.to_owned()),
            At::Index(index) => Step::Index(index),
        });
        Refusal { at: at.collect(), message }
    }
}

/// It stands at the whole value: the schema is the cause, not the part at which the visits ran out.
fn too_many_visits() -> Refusal {
    let message = "would take too long to check: its schema refers to itself too often";
    Refusal { at: Vec::new(), message: message.to_owned() }
}
