//! What a schema may cost. References can make a small schema do work without end, or work that doubles with every
//! level of a value; validators follow them blindly. So references are looked at before a schema is accepted; `cost`
//! counts what a value takes before it is judged.

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;

use crate::problem::shorten;

/// Different references in one schema.
const MAX_REFERENCES: usize = 500;
/// Schemas nested within each other that apply to one place of a value.
const MAX_NESTING: usize = 16;
/// Levels of a value that is judged. With [`MAX_NESTING`] it bounds the validator's recursion.
pub(super) const MAX_LEVELS: usize = 64;

/// Whether the schema refers to itself anywhere. Refuses references that lead outside, nowhere, or in a circle.
pub(super) fn check_references(schema: &Value) -> Result<bool, String> {
    let mut all = BTreeSet::new();
    collect(schema, &mut all)?;
    let mut known = HashMap::new();
    for reference in &all {
        follow(schema, reference, &mut known)?;
    }
    Ok(!all.is_empty())
}

/// How deep the schemas nest that a reference brings to one place. `known` holds `None` for those being followed.
fn follow<'s>(
    schema: &'s Value,
    reference: &'s str,
    known: &mut HashMap<&'s str, Option<usize>>,
) -> Result<usize, String> {
    let shown = || shorten(reference, 80);
    match known.get(reference) {
        Some(Some(nesting)) => return Ok(*nesting),
        Some(None) => return Err(format!("'{}' refers to itself without end", shown())),
        None => {}
    }
    let Some(target) = resolve(schema, reference) else {
        return Err(format!("'{}' refers to nothing in this schema", shown()));
    };
    known.insert(reference, None);
    let nesting = 1 + nesting(schema, target, known)?;
    if nesting > MAX_NESTING {
        return Err(format!("'{}' nests more than {MAX_NESTING} schemas within each other", shown()));
    }
    known.insert(reference, Some(nesting));
    Ok(nesting)
}

fn nesting<'s>(
    schema: &'s Value,
    part: &'s Value,
    known: &mut HashMap<&'s str, Option<usize>>,
) -> Result<usize, String> {
    let mut deepest = 0;
    for inner in same_place(part) {
        let depth = match inner {
            Inner::Reference(reference) => follow(schema, reference, known)?,
            Inner::Schema(inner) => 1 + nesting(schema, inner, known)?,
        };
        deepest = deepest.max(depth);
    }
    Ok(deepest)
}

/// All references of a schema, each once.
fn collect<'s>(value: &'s Value, found: &mut BTreeSet<&'s str>) -> Result<(), String> {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                match (key.as_str(), value) {
                    ("$ref", Value::String(reference)) if reference == "#" || reference.starts_with("#/") => {
                        found.insert(reference);
                        if found.len() > MAX_REFERENCES {
                            return Err(format!("it has more than {MAX_REFERENCES} different references"));
                        }
                    }
                    ("$ref" | "$dynamicRef" | "$recursiveRef", Value::String(reference)) => {
                        return Err(format!(
                            "'{}' leads outside: references to files and URLs are refused; refer into this schema, \
                             as in '#/$defs/name'",
                            shorten(reference, 80)
                        ));
                    }
                    ("$id", Value::String(_)) => {
                        return Err("'$id' is not read here: leave it out".to_owned());
                    }
                    ("$schema", Value::String(draft)) if draft.contains("draft-04") => {
                        // Its `id` moves what references mean.
                        return Err("'$schema' must name draft 6 or later, or be left out".to_owned());
                    }
                    (_, value) => collect(value, found)?,
                }
            }
            Ok(())
        }
        Value::Array(items) => items.iter().try_for_each(|item| collect(item, found)),
        _ => Ok(()),
    }
}

pub(super) fn resolve<'s>(schema: &'s Value, reference: &str) -> Option<&'s Value> {
    schema.pointer(reference.strip_prefix('#')?)
}

/// A schema within a schema.
pub(super) enum Inner<'s> {
    Reference(&'s str),
    Schema(&'s Value),
}

/// What applies to the same place of the value as the schema itself.
pub(super) fn same_place(part: &Value) -> Vec<Inner<'_>> {
    let mut inner = Vec::new();
    let Some(map) = part.as_object() else { return inner };
    for (word, value) in map {
        match (word.as_str(), value) {
            ("$ref", Value::String(reference)) => inner.push(Inner::Reference(reference)),
            ("allOf" | "anyOf" | "oneOf", Value::Array(several)) => {
                inner.extend(several.iter().map(Inner::Schema))
            }
            ("not" | "if" | "then" | "else", one) => inner.push(Inner::Schema(one)),
            ("dependentSchemas" | "dependencies", Value::Object(several)) => {
                inner.extend(several.values().map(Inner::Schema));
            }
            _ => {}
        }
    }
    inner
}

/// Whether a value nests deeper than [`MAX_LEVELS`].
pub(super) fn is_too_deep(value: &Value, levels: usize) -> bool {
    match value {
        _ if levels > MAX_LEVELS => true,
        Value::Array(items) => items.iter().any(|item| is_too_deep(item, levels + 1)),
        Value::Object(map) => map.values().any(|item| is_too_deep(item, levels + 1)),
        _ => false,
    }
}
