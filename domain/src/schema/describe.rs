//! What is wrong with a schema or a value, and where, in plain words.

use std::fmt::Write as _;

use jsonschema::ValidationError;
use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::paths::LocationSegment;

use super::check::Step;
use crate::problem::{Problem, shorten, write_key};

pub(super) const NO_PATTERN: &str = "must be a regular expression";

pub(super) fn describe_schema(error: &ValidationError<'_>) -> String {
    let last = error.instance_path().into_iter().last();
    let last = match &last {
        Some(LocationSegment::Property(word)) => Some(&**word),
        _ => None,
    };
    match (last, error.kind()) {
        (Some("type"), ValidationErrorKind::AnyOf { .. }) => {
            "must be one of string, number, integer, boolean, array, object, null, or a list of these"
                .to_owned()
        }
        (Some("pattern"), ValidationErrorKind::Format { .. }) => NO_PATTERN.to_owned(),
        (_, ValidationErrorKind::Referencing(_)) => {
            "'$schema' must name a known draft, or be left out".to_owned()
        }
        _ => describe(error),
    }
}

pub(super) fn steps(error: &ValidationError<'_>) -> Vec<Step> {
    let step = |segment| match segment {
        LocationSegment::Property(key) => Step::Key(key.into_owned()),
        LocationSegment::Index(index) => Step::Index(index),
    };
    error.instance_path().into_iter().map(step).collect()
}

pub(super) fn problem(error: &ValidationError<'_>, root: &str) -> Problem {
    let mut place = steps(error);
    // A missing property is reported at its own place, not at that of the object.
    if let ValidationErrorKind::Required { property } = error.kind()
        && let Some(name) = property.as_str()
    {
        place.push(Step::Key(name.to_owned()));
    }
    Problem::new(path_to(root, &place), describe(error))
}

/// `root`, followed by the steps: `input.list[2].name`.
pub(super) fn path_to(root: &str, at: &[Step]) -> String {
    let mut path = root.to_owned();
    for step in at {
        let first = path.is_empty();
        // Writing to a String cannot fail.
        let _ = match step {
            Step::Key(key) => write_key(&mut path, key, first),
            Step::Index(index) => write!(path, "[{index}]"),
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
        ValidationErrorKind::Custom { message, .. } => message.clone(),
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
