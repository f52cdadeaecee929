//! Schemas judged, and values judged by them. Nothing is ever fetched: a reference leads into the schema itself.

use std::fmt::Write as _;

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::paths::LocationSegment;
use jsonschema::{PatternOptions, ValidationError, Validator};
use serde_json::{Map, Value};

use super::bounds::{MAX_LEVELS, check_references, is_too_costly, is_too_deep};
use crate::problem::Problem;
use crate::template::place::{Path, Problems, shorten, write_key};

/// Problems of one value beyond this many are not listed.
const MAX_PROBLEMS: usize = 50;

/// Why a schema cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SchemaError(String);

/// A schema that was found to be one, ready to judge values. Making it costs more than using it.
#[derive(Debug)]
pub struct Schema {
    validator: Validator,
    /// The schema itself, where references may make judging dear.
    refers: Option<Value>,
}

impl Schema {
    /// Refuses what is no schema, and references that lead outside or nowhere.
    pub fn new(schema: &Value) -> Result<Self, SchemaError> {
        let refers = check_references(schema).map_err(SchemaError)?;
        let validator = jsonschema::options()
            // Linear in the text's length, whatever the pattern.
            .with_pattern_options(PatternOptions::regex())
            .should_validate_formats(false)
            .build(schema)
            .map_err(|error| {
                SchemaError(format!("this is no valid JSON Schema: {}", describe_schema(&error)))
            })?;
        Ok(Self { validator, refers: refers.then(|| schema.clone()) })
    }

    /// What is wrong with a value; `root` begins every path, such as `input`.
    pub fn problems(&self, value: &Value, root: &str) -> Vec<Problem> {
        if is_too_deep(value, 0) {
            return vec![Problem::new(root, format!("is nested deeper than {MAX_LEVELS} levels"))];
        }
        if self.refers.as_ref().is_some_and(|schema| is_too_costly(schema, value)) {
            return vec![Problem::new(
                root,
                "would take too long to check: its schema refers to itself too often",
            )];
        }
        self.validator.iter_errors(value).take(MAX_PROBLEMS).map(|error| problem(&error, root)).collect()
    }
}

/// Checks the schema of a template's input, which is always an object.
pub(crate) fn check_input(schema: &Value, path: &Path<'_>, problems: &mut Problems<'_>) {
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
    check_schema(schema, path, problems);
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

/// Checks any schema.
pub(crate) fn check_schema(schema: &Value, path: &Path<'_>, problems: &mut Problems<'_>) {
    if let Err(error) = Schema::new(schema) {
        problems.add(path, error.to_string());
    }
}

fn describe_schema(error: &ValidationError<'_>) -> String {
    let place = path_of(error, "");
    let what = match (place.rsplit('.').next(), error.kind()) {
        (Some("type"), ValidationErrorKind::AnyOf { .. }) => {
            "must be one of string, number, integer, boolean, array, object, null, or a list of these"
                .to_owned()
        }
        (Some("pattern"), ValidationErrorKind::Format { .. }) => "must be a regular expression".to_owned(),
        (_, ValidationErrorKind::Referencing(_)) => {
            "'$schema' must name a known draft, or be left out".to_owned()
        }
        _ => describe(error),
    };
    if place.is_empty() { what } else { format!("at {}, {what}", place.trim_start_matches('.')) }
}

fn problem(error: &ValidationError<'_>, root: &str) -> Problem {
    let mut path = path_of(error, root);
    if let ValidationErrorKind::Required { property } = error.kind() {
        // The place of what is missing is its own, not its owner's.
        let first = path.is_empty();
        let _ = write_key(&mut path, property.as_str().unwrap_or_default(), first);
    }
    Problem::new(path, describe(error))
}

fn path_of(error: &ValidationError<'_>, root: &str) -> String {
    let mut path = root.to_owned();
    for segment in error.instance_path().into_iter() {
        let first = path.is_empty();
        // Writing to a String cannot fail.
        let _ = match segment {
            LocationSegment::Property(key) => write_key(&mut path, &key, first),
            LocationSegment::Index(index) => write!(path, "[{index}]"),
        };
    }
    path
}

/// The commonest failures in plain words; the others in the validator's.
fn describe(error: &ValidationError<'_>) -> String {
    match error.kind() {
        ValidationErrorKind::Required { .. } => "is required".to_owned(),
        ValidationErrorKind::Type { kind } => {
            let wanted = match kind {
                TypeKind::Single(one) => article(&one.to_string()),
                TypeKind::Multiple(several) => {
                    several.iter().map(|one| article(&one.to_string())).collect::<Vec<_>>().join(" or ")
                }
            };
            format!("must be {wanted}")
        }
        ValidationErrorKind::Enum { options } => {
            let options: Vec<String> = options
                .as_array()
                .into_iter()
                .flatten()
                .take(20)
                .map(|option| shorten(&option.to_string(), 40))
                .collect();
            format!("must be one of {}", options.join(", "))
        }
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            let names: Vec<String> =
                unexpected.iter().take(10).map(|name| format!("'{}'", shorten(name, 80))).collect();
            format!("has no field {}", names.join(", "))
        }
        ValidationErrorKind::MinLength { limit: 1 } => "must not be empty".to_owned(),
        ValidationErrorKind::MinLength { limit } => format!("must have at least {limit} characters"),
        ValidationErrorKind::MaxLength { limit } => format!("must have at most {limit} characters"),
        ValidationErrorKind::MinItems { limit } => format!("must have at least {limit} items"),
        ValidationErrorKind::MaxItems { limit } => format!("must have at most {limit} items"),
        ValidationErrorKind::Minimum { limit } => format!("must be at least {limit}"),
        ValidationErrorKind::Maximum { limit } => format!("must be at most {limit}"),
        ValidationErrorKind::ExclusiveMinimum { limit } => format!("must be more than {limit}"),
        ValidationErrorKind::ExclusiveMaximum { limit } => format!("must be less than {limit}"),
        ValidationErrorKind::Pattern { pattern } => {
            format!("must match the pattern {}", shorten(pattern, 200))
        }
        // The validator's words quote the value, which may be long.
        _ => shorten(&error.masked_with("the value").to_string(), 300),
    }
}

fn article(kind: &str) -> String {
    match kind {
        "string" => "text".to_owned(),
        "integer" => "a whole number".to_owned(),
        "array" => "a list".to_owned(),
        "object" => "an object".to_owned(),
        "boolean" => "true or false".to_owned(),
        "null" => "null".to_owned(),
        other => format!("a {other}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lines(problems: &[Problem]) -> Vec<String> {
        problems.iter().map(ToString::to_string).collect()
    }

    fn validate(schema: &Value, instance: &Value) -> Vec<Problem> {
        Schema::new(schema).unwrap().problems(instance, "input")
    }

    #[test]
    fn problems_name_their_place() {
        let schema = json!({
            "type": "object",
            "required": ["code", "a key"],
            "additionalProperties": false,
            "properties": {
                "code": {"type": "string", "minLength": 1, "maxLength": 3},
                "a key": {},
                "n": {"type": ["integer", "null"], "minimum": 2},
                "tone": {"enum": ["dry", "warm"]},
                "list": {"type": "array", "items": {"type": "object", "required": ["x"]}},
                "id": {"pattern": "^[a-z]+$"}
            }
        });
        let value =
            json!({"n": 1, "tone": "wet", "list": [{"x": 1}, {}, 3], "id": "A", "code": "", "more": 1});
        let mut shown = lines(&validate(&schema, &value));
        shown.extend(lines(&validate(&schema, &json!({"n": 1.5, "code": "long", "a key": 1}))));
        shown.extend(lines(&validate(&schema, &json!([]))));
        insta::assert_snapshot!(shown.join("\n"));
    }

    #[test]
    fn schemas_that_are_none_or_lead_elsewhere_are_refused() {
        let refused = [
            json!({"type": "strin"}),
            json!({"properties": []}),
            json!({"pattern": "("}),
            json!({"$ref": "https://example.com/schema.json"}),
            json!({"properties": {"a": {"$ref": "file:///etc/passwd"}}}),
            json!({"properties": {"a": {"$ref": "other.json#/x"}}}),
            json!({"$id": "https://example.com/", "properties": {}}),
            json!({"$ref": "#/$defs/missing"}),
            json!({"$ref": "#"}),
            json!({"allOf": [{"$ref": "#"}]}),
            json!({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"not": {"$ref": "#/$defs/a"}}}}),
            json!({"$schema": "https://example.com/my-own-schema"}),
            json!({"$schema": "http://json-schema.org/draft-04/schema#"}),
            json!({"properties": {"default": {"$ref": "#/properties/default"}}}),
            json!(3),
        ];
        let shown: Vec<String> = refused
            .iter()
            .map(|schema| match Schema::new(schema) {
                Ok(_) => panic!("{schema} was accepted"),
                Err(error) => error.to_string(),
            })
            .collect();
        insta::assert_snapshot!(shown.join("\n"));
    }

    #[test]
    fn schemas_may_refer_to_themselves_further_down() {
        let tree = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$ref": "#/$defs/node",
            "$defs": {"node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}, "v": {"type": "integer"}}}}
        });
        assert_eq!(validate(&tree, &json!({"next": {"next": {"v": 1}}})), vec![]);
        assert_eq!(
            lines(&validate(&tree, &json!({"next": {"v": "x"}}))),
            ["input.next.v: must be a whole number"]
        );
    }

    #[test]
    fn hostile_patterns_take_no_time() {
        let schema = json!({"properties": {"a": {"pattern": "^(a+)+$"}}});
        assert_eq!(validate(&schema, &json!({"a": format!("{}!", "a".repeat(50_000))})).len(), 1);
    }

    #[test]
    fn forks_that_double_at_each_level_are_not_followed() {
        let fork = json!({"anyOf": [{"$ref": "#/$defs/n"}, {"$ref": "#/$defs/n"}]});
        let schema = json!({
            "$ref": "#/$defs/n",
            "$defs": {"n": {"type": "object", "properties": {"a": fork}}}
        });
        let deep = |levels: usize| (0..levels).fold(json!(1), |inner, _| json!({"a": inner}));
        assert_eq!(validate(&schema, &deep(4)).len(), 1);
        insta::assert_snapshot!(
            [50, 100].map(|levels| lines(&validate(&schema, &deep(levels))).join("\n")).join("\n")
        );
    }

    #[test]
    fn long_lists_are_judged_under_a_schema_with_references() {
        let schema = json!({
            "type": "object",
            "properties": {"list": {"type": "array", "items": {"$ref": "#/$defs/n"}}},
            "$defs": {"n": {"type": "integer"}}
        });
        let list: Vec<u32> = (0..100_000).collect();
        assert_eq!(validate(&schema, &json!({"list": list})), vec![]);
    }
}
