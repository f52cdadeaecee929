//! JSON Schemas of inputs and outputs: validating schemas, validating values, and deriving input forms.

use serde::{Deserialize, Serialize};
use serde_json::Value;

mod list;
mod rows;
pub use list::{ListField, MOST_ROWS, Misread, NotInRows, RowTexts, is_blank};
pub use rows::{ItemKind, NoRows, Row, RowKind, SchemaRows};

#[cfg(feature = "evaluate")]
mod bounds;
#[cfg(feature = "evaluate")]
mod check;
#[cfg(feature = "evaluate")]
mod cost;
#[cfg(feature = "evaluate")]
mod describe;
#[cfg(feature = "evaluate")]
mod judge;
#[cfg(feature = "evaluate")]
mod patterns;
#[cfg(feature = "evaluate")]
mod shelf;
#[cfg(feature = "evaluate")]
pub use check::{Schema, SchemaError};
#[cfg(feature = "evaluate")]
pub(crate) use check::{check_input, check_schema};
#[cfg(feature = "evaluate")]
pub use shelf::Shelf;

/// One field of an input form.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FormField {
    /// The property's name in the input.
    pub name: String,
    /// The label on the page: the schema's title, or one derived from the name.
    pub title: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    pub kind: FieldKind,
    pub required: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
    /// An example value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub example: Option<Value>,
}

/// How a field is entered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FieldKind {
    Text,
    /// Several lines.
    LongText,
    Number,
    Integer,
    Boolean,
    /// One of these texts.
    Choice(Vec<String>),
    /// A row per item.
    List(ListField),
    /// Anything else, entered as JSON.
    Json,
}

/// A text longer than this gets several lines.
const LONG_TEXT: u64 = 200;

/// The fields of an input form: the schema's properties, in order. Empty for a schema without properties.
pub fn form_fields(schema: &Value) -> Vec<FormField> {
    let required: Vec<&str> = schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let properties = schema.get("properties").and_then(Value::as_object);
    let text = |property: &Value, word: &str| property.get(word).and_then(Value::as_str).map(str::to_owned);
    properties
        .into_iter()
        .flatten()
        .map(|(name, property)| FormField {
            title: text(property, "title").unwrap_or_else(|| title_of(name)),
            description: text(property, "description"),
            kind: kind_of(name, property),
            required: required.contains(&name.as_str()),
            default: property.get("default").cloned(),
            example: property.get("examples").and_then(|examples| examples.get(0)).cloned(),
            name: name.clone(),
        })
        .collect()
}

fn kind_of(name: &str, property: &Value) -> FieldKind {
    if let Some(choices) = property.get("enum").and_then(Value::as_array) {
        let texts: Option<Vec<String>> =
            choices.iter().map(|choice| choice.as_str().map(str::to_owned)).collect();
        return texts.filter(|texts| !texts.is_empty()).map_or(FieldKind::Json, FieldKind::Choice);
    }
    match type_of(property) {
        Some("string") if is_long(name, property) => FieldKind::LongText,
        Some("string") => FieldKind::Text,
        Some("number") => FieldKind::Number,
        Some("integer") => FieldKind::Integer,
        Some("boolean") => FieldKind::Boolean,
        Some("array") => ListField::of(name, property).map_or(FieldKind::Json, FieldKind::List),
        _ => FieldKind::Json,
    }
}

/// The single type of a property; `["string", "null"]` counts as a string.
fn type_of(property: &Value) -> Option<&str> {
    match property.get("type")? {
        Value::String(one) => Some(one),
        Value::Array(several) => {
            let mut types = several.iter().filter_map(Value::as_str).filter(|name| *name != "null");
            types.next().filter(|_| types.next().is_none())
        }
        _ => None,
    }
}

fn is_long(name: &str, property: &Value) -> bool {
    let format = property.get("format").and_then(Value::as_str);
    let limit = property.get("maxLength").and_then(Value::as_u64);
    match format {
        Some("textarea" | "code" | "markdown") => true,
        Some(_) => false,
        None => match limit {
            Some(limit) => limit > LONG_TEXT,
            None => ["code", "text", "content", "document"].contains(&name.to_lowercase().as_str()),
        },
    }
}

/// `sourceCode` and `source_code` become `Source code`.
fn title_of(name: &str) -> String {
    let mut title = String::with_capacity(name.len() + 4);
    let mut before = None;
    for character in name.chars() {
        let starts_word = character.is_uppercase() && before.is_some_and(char::is_lowercase);
        match character {
            '_' | '-' => title.push(' '),
            _ if before.is_none() => title.extend(character.to_uppercase()),
            _ if starts_word => {
                title.push(' ');
                title.extend(character.to_lowercase());
            }
            other => title.push(other),
        }
        before = Some(character);
    }
    title
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_form_follows_the_schema() {
        let schema = json!({
            "type": "object",
            "required": ["code", "depth"],
            "properties": {
                "code": {"type": "string"},
                "sourceName": {"type": "string", "description": "Where it is from", "default": "main.rs"},
                "note": {"type": "string", "maxLength": 500},
                "body": {"type": "string", "format": "textarea"},
                "content": {"type": "string", "maxLength": 20},
                "text": {"type": "string", "format": "email"},
                "depth": {"type": "integer"},
                "ratio": {"type": ["number", "null"], "title": "Ratio (0 to 1)"},
                "strict": {"type": "boolean", "default": false},
                "tone": {"enum": ["dry", "warm"]},
                "level": {"enum": [1, 2]},
                "files": {"type": "array"},
                "any": {}
            }
        });
        let fields = form_fields(&schema);
        let shown: Vec<_> =
            fields.iter().map(|f| (f.name.as_str(), f.title.as_str(), &f.kind, f.required)).collect();
        insta::assert_debug_snapshot!(shown);
        assert_eq!(fields[1].description.as_deref(), Some("Where it is from"));
        assert_eq!(fields[1].default, Some(json!("main.rs")));
    }

    #[test]
    fn a_schema_without_properties_makes_no_form() {
        for schema in [json!(true), json!({}), json!({"properties": 3}), json!(null)] {
            assert_eq!(form_fields(&schema), vec![]);
        }
    }
}
