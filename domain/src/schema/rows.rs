//! The schema of an object as rows, one per property, for editing it by hand.
//!
//! Invariant: a change touches only its own keywords. Everything else in the schema, including the order of its
//! keywords and the keywords that no row shows, stays as its author wrote it.

use super::list::{read_integer, read_number};
use super::{FieldKind, kind_of, type_of};
use crate::json::{self, ReadError};
use serde_json::{Map, Value, json};

/// The type of a property.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowKind {
    Text,
    /// Several lines.
    LongText,
    Number,
    Integer,
    Boolean,
    /// One of several texts.
    Choice,
    List(ItemKind),
    /// Entered as JSON.
    Object,
    /// Anything at all, entered as JSON.
    Any,
}

/// The type of a list's items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemKind {
    Text,
    Number,
    Integer,
    Boolean,
    Object,
    Any,
}

impl ItemKind {
    pub const ALL: [Self; 6] =
        [Self::Text, Self::Number, Self::Integer, Self::Boolean, Self::Object, Self::Any];

    /// The `type` in a schema; `None` for any type.
    pub fn word(self) -> Option<&'static str> {
        match self {
            Self::Text => Some("string"),
            Self::Number => Some("number"),
            Self::Integer => Some("integer"),
            Self::Boolean => Some("boolean"),
            Self::Object => Some("object"),
            Self::Any => None,
        }
    }
}

/// A property, as a row shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub name: String,
    pub kind: RowKind,
    pub required: bool,
    pub description: String,
    pub default: Option<Value>,
    pub example: Option<Value>,
    /// The choices of a `Choice`.
    pub choices: Vec<String>,
    /// Keywords of the property that the row does not show; changes keep them.
    pub more: Vec<String>,
}

/// Why a schema cannot be shown as rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRows {
    #[error("it is not the schema of an object with named fields")]
    NoObject,
    #[error("its list of required fields, or of its properties, is not one")]
    Malformed,
}

#[derive(Clone, Debug, PartialEq)]
pub struct SchemaRows {
    schema: Map<String, Value>,
    /// The author wrote no schema, or removed its last row: without rows the result is no schema.
    slight: bool,
}

impl SchemaRows {
    pub fn of(schema: Option<&Value>) -> Result<Self, NoRows> {
        let Some(schema) = schema else {
            let schema = Map::from_iter([("type".to_owned(), json!("object"))]);
            return Ok(Self { schema, slight: true });
        };
        let Value::Object(schema) = schema else { return Err(NoRows::NoObject) };
        let types = schema.get("type");
        let is_object = types.is_none() || types.and_then(Value::as_str) == Some("object");
        let names_fields = schema.contains_key("properties") || types.is_some() || schema.is_empty();
        if !is_object || !names_fields {
            return Err(NoRows::NoObject);
        }
        let sound = schema.get("properties").is_none_or(Value::is_object)
            && schema.get("required").is_none_or(Value::is_array);
        if sound { Ok(Self { schema: schema.clone(), slight: false }) } else { Err(NoRows::Malformed) }
    }

    /// `None` if the schema is empty and the author did not write it.
    pub fn into_schema(self) -> Option<Value> {
        let says = |(word, value): (&String, &Value)| match word.as_str() {
            "type" => false,
            "properties" => value.as_object().is_none_or(|properties| !properties.is_empty()),
            "required" => value.as_array().is_none_or(|names| !names.is_empty()),
            _ => true,
        };
        let empty = self.slight && !self.schema.iter().any(says);
        (!empty).then_some(Value::Object(self.schema))
    }

    pub fn rows(&self) -> Vec<Row> {
        let required = self.schema.get("required").and_then(Value::as_array);
        let is_required = |name: &str| required.is_some_and(|names| names.iter().any(|other| other == name));
        let row = |(name, property): (&String, &Value)| {
            let kind = row_kind(name, property);
            let list = |word: &str| property.get(word).and_then(Value::as_array);
            Row {
                name: name.clone(),
                kind,
                required: is_required(name),
                description: property
                    .get("description")
                    .and_then(Value::as_str)
                    .unwrap_or_default()
                    .to_owned(),
                default: property.get("default").cloned(),
                example: list("examples").and_then(|examples| examples.first()).cloned(),
                choices: list("enum")
                    .into_iter()
                    .flatten()
                    .filter_map(|choice| choice.as_str().map(str::to_owned))
                    .collect(),
                more: more(kind, property),
            }
        };
        self.properties().into_iter().flatten().map(row).collect()
    }

    /// The schema's keywords that no row shows.
    pub fn other_keywords(&self) -> Vec<String> {
        let shown = ["type", "properties", "required"];
        self.schema.keys().filter(|word| !shown.contains(&word.as_str())).cloned().collect()
    }

    /// Adds a text property at the end and returns its index.
    pub fn add(&mut self) -> usize {
        self.slight = false;
        let properties = self.schema.entry("properties").or_insert_with(|| json!({}));
        let Value::Object(properties) = properties else { return 0 };
        let names = (1..).map(|n| if n == 1 { "field".to_owned() } else { format!("field{n}") });
        let free = names.into_iter().find(|name| !properties.contains_key(name)).unwrap_or_default();
        properties.insert(free, json!({"type": "string"}));
        properties.len() - 1
    }

    /// Returns false if the name is empty or another property has it.
    pub fn rename(&mut self, at: usize, new: &str) -> bool {
        let Some(old) = self.name(at) else { return false };
        if new == old {
            return true;
        }
        if new.is_empty() || self.properties().is_some_and(|properties| properties.contains_key(new)) {
            return false;
        }
        self.rebuilt(|entries| {
            if let Some(entry) = entries.get_mut(at) {
                new.clone_into(&mut entry.0);
            }
        });
        for name in self.schema.get_mut("required").and_then(Value::as_array_mut).into_iter().flatten() {
            if *name == old {
                *name = new.into();
            }
        }
        true
    }

    /// Moves the property one place up or down; false at either end.
    pub fn shift(&mut self, at: usize, down: bool) -> bool {
        let other = if down { Some(at + 1) } else { at.checked_sub(1) };
        let count = self.properties().map_or(0, Map::len);
        let Some(other) = other.filter(|other| *other < count && at < count) else { return false };
        self.rebuilt(|entries| entries.swap(at, other));
        true
    }

    pub fn remove(&mut self, at: usize) {
        let Some(name) = self.name(at) else { return };
        self.require(at, false);
        if let Some(Value::Object(properties)) = self.schema.get_mut("properties") {
            properties.shift_remove(&name);
            self.slight |= properties.is_empty();
        }
    }

    pub fn require(&mut self, at: usize, required: bool) {
        let Some(name) = self.name(at) else { return };
        if !required && !self.schema.contains_key("required") {
            return;
        }
        let names = self.schema.entry("required").or_insert_with(|| json!([]));
        let Value::Array(names) = names else { return };
        let has = names.iter().any(|other| *other == name);
        if required && !has {
            names.push(name.into());
        } else if !required && has {
            names.retain(|other| *other != name);
            if names.is_empty() {
                self.schema.shift_remove("required");
            }
        }
    }

    /// Changes the kind. Keywords of the old kind are removed; title, description and position stay.
    pub fn set_kind(&mut self, at: usize, kind: RowKind) {
        let Some(name) = self.name(at) else { return };
        let mut schema = match kind {
            RowKind::Text => json!({"type": "string"}),
            RowKind::LongText => json!({"type": "string", "format": "textarea"}),
            RowKind::Number => json!({"type": "number"}),
            RowKind::Integer => json!({"type": "integer"}),
            RowKind::Boolean => json!({"type": "boolean"}),
            RowKind::Choice => json!({"type": "string", "enum": ["one", "two"]}),
            RowKind::List(item) => match item.word() {
                Some(word) => json!({"type": "array", "items": {"type": word}}),
                None => json!({"type": "array"}),
            },
            RowKind::Object => json!({"type": "object"}),
            RowKind::Any => json!({}),
        };
        // A name such as 'code' makes a text multi-line by default; the limit marks it as a single line.
        if kind == RowKind::Text && kind_of(&name, &schema) == FieldKind::LongText {
            schema["maxLength"] = super::LONG_TEXT.into();
        }
        self.change(at, |property| {
            let kept = ["title", "description"]
                .map(|word| property.shift_remove(word).map(|value| (word.to_owned(), value)));
            property.clear();
            if let Value::Object(schema) = schema {
                property.extend(schema);
            }
            property.extend(kept.into_iter().flatten());
        });
    }

    pub fn set_choices(&mut self, at: usize, choices: Vec<String>) {
        self.change(at, |property| {
            property.insert("enum".to_owned(), choices.into());
        });
    }

    /// An empty text removes the description.
    pub fn describe(&mut self, at: usize, text: &str) {
        let text = (!text.is_empty()).then(|| text.into());
        self.change(at, |property| say(property, "description", text));
    }

    pub fn set_default(&mut self, at: usize, value: Option<Value>) {
        self.change(at, |property| say(property, "default", value));
    }

    /// Replaces the first example; the others stay.
    pub fn set_example(&mut self, at: usize, value: Option<Value>) {
        self.change(at, |property| {
            let mut examples = match property.get("examples") {
                Some(Value::Array(examples)) => examples.clone(),
                _ => Vec::new(),
            };
            if !examples.is_empty() {
                examples.remove(0);
            }
            if let Some(value) = value {
                examples.insert(0, value);
            }
            say(property, "examples", (!examples.is_empty()).then_some(Value::Array(examples)));
        });
    }

    fn properties(&self) -> Option<&Map<String, Value>> {
        self.schema.get("properties").and_then(Value::as_object)
    }

    fn name(&self, at: usize) -> Option<String> {
        self.properties()?.keys().nth(at).cloned()
    }

    fn rebuilt(&mut self, change: impl FnOnce(&mut Vec<(String, Value)>)) {
        if let Some(Value::Object(properties)) = self.schema.get_mut("properties") {
            let mut entries: Vec<_> = std::mem::take(properties).into_iter().collect();
            change(&mut entries);
            properties.extend(entries);
        }
    }

    /// Converts a property that is `true` or `false` to a schema object, so that it can hold keywords.
    fn change(&mut self, at: usize, change: impl FnOnce(&mut Map<String, Value>)) {
        let Some(Value::Object(properties)) = self.schema.get_mut("properties") else { return };
        let Some(property) = properties.values_mut().nth(at) else { return };
        if !property.is_object() {
            *property = json!({});
        }
        if let Value::Object(property) = property {
            change(property);
        }
    }
}

fn say(property: &mut Map<String, Value>, word: &str, value: Option<Value>) {
    match value {
        Some(value) => drop(property.insert(word.to_owned(), value)),
        None => drop(property.shift_remove(word)),
    }
}

fn row_kind(name: &str, property: &Value) -> RowKind {
    match kind_of(name, property) {
        FieldKind::Text => RowKind::Text,
        FieldKind::LongText => RowKind::LongText,
        FieldKind::Number => RowKind::Number,
        FieldKind::Integer => RowKind::Integer,
        FieldKind::Boolean => RowKind::Boolean,
        FieldKind::Choice(_) => RowKind::Choice,
        FieldKind::List(_) => RowKind::List(item_kind(property)),
        FieldKind::Json if property.get("enum").is_some() => RowKind::Any,
        FieldKind::Json => match type_of(property) {
            Some("array") => RowKind::List(item_kind(property)),
            Some("object") => RowKind::Object,
            _ => RowKind::Any,
        },
    }
}

fn item_kind(property: &Value) -> ItemKind {
    let word = property.get("items").and_then(type_of);
    ItemKind::ALL.into_iter().find(|kind| kind.word() == word).unwrap_or(ItemKind::Any)
}

fn more(kind: RowKind, property: &Value) -> Vec<String> {
    let shown = |word: &str, value: &Value| match word {
        "type" => value.is_string(),
        "description" => value.is_string(),
        "default" => true,
        "examples" => value.as_array().is_some_and(|examples| examples.len() == 1),
        "enum" => kind == RowKind::Choice,
        "format" => kind == RowKind::LongText && value == "textarea",
        "items" => {
            matches!(kind, RowKind::List(_)) && value.as_object().is_some_and(|items| items.len() <= 1)
        }
        _ => false,
    };
    let words = property.as_object().into_iter().flatten();
    words.filter(|(word, value)| !shown(word, value)).map(|(word, _)| word.clone()).collect()
}

impl RowKind {
    /// Parses a value of this kind that a person typed; `None` for an empty text.
    ///
    /// # Errors
    /// The expected form of the value.
    pub fn read(self, text: &str) -> Result<Option<Value>, &'static str> {
        let trimmed = text.trim();
        if trimmed.is_empty() {
            return Ok(None);
        }
        let value = match self {
            Self::Text | Self::LongText | Self::Choice => Ok(Value::from(text)),
            Self::Integer => read_integer(trimmed).map(Value::from),
            Self::Number => read_number(trimmed).map(Value::from),
            Self::Boolean => match trimmed {
                "true" => Ok(true.into()),
                "false" => Ok(false.into()),
                _ => Err("must be yes or no"),
            },
            Self::List(_) | Self::Object | Self::Any => {
                json::read(trimmed.as_bytes(), "").map_err(|error| match error {
                    ReadError::Syntax(_) => "is no JSON yet",
                    ReadError::TooLong(_) => json::TOO_LONG,
                })
            }
        };
        value.map(Some)
    }

    /// The text that a person would type for the value.
    pub fn written(self, value: &Value) -> String {
        match value {
            Value::String(text) if !matches!(self, Self::List(_) | Self::Object | Self::Any) => text.clone(),
            value => value.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rows(schema: &Value) -> SchemaRows {
        SchemaRows::of(Some(schema)).unwrap()
    }

    #[test]
    fn a_row_shows_what_it_knows_and_names_the_rest() {
        let schema = json!({
            "type": "object",
            "additionalProperties": false,
            "required": ["code"],
            "properties": {
                "code": {"type": "string", "description": "What to read", "examples": ["fn main() {}"]},
                "depth": {"type": "integer", "minimum": 1, "default": 3},
                "tone": {"enum": ["dry", "warm"]},
                "files": {"type": "array", "items": {"type": "string"}},
                "shape": {"type": "object", "properties": {"x": {}}},
                "any": true,
                "level": {"enum": [1, 2]}
            }
        });
        let rows = rows(&schema);
        let kinds: Vec<_> = rows.rows().into_iter().map(|row| (row.name, row.kind, row.more)).collect();
        assert_eq!(
            kinds,
            [
                ("code".to_owned(), RowKind::LongText, vec![]),
                ("depth".to_owned(), RowKind::Integer, vec!["minimum".to_owned()]),
                ("tone".to_owned(), RowKind::Choice, vec![]),
                ("files".to_owned(), RowKind::List(ItemKind::Text), vec![]),
                ("shape".to_owned(), RowKind::Object, vec!["properties".to_owned()]),
                ("any".to_owned(), RowKind::Any, vec![]),
                ("level".to_owned(), RowKind::Any, vec!["enum".to_owned()]),
            ]
        );
        assert_eq!(rows.other_keywords(), ["additionalProperties"]);
        let first = rows.rows().remove(0);
        assert_eq!((first.required, first.description.as_str()), (true, "What to read"));
        assert_eq!(first.example, Some(json!("fn main() {}")));
    }

    #[test]
    fn rows_are_changed_one_by_one() {
        let mut rows = SchemaRows::of(None).unwrap();
        assert_eq!(rows.clone().into_schema(), None);
        assert_eq!((rows.add(), rows.add()), (0, 1));
        assert!(rows.rename(0, "code") && !rows.rename(1, "code") && !rows.rename(1, ""));
        rows.set_kind(0, RowKind::Text);
        assert_eq!(rows.rows()[0].kind, RowKind::Text, "whatever the name suggests");
        rows.set_kind(1, RowKind::Choice);
        rows.set_choices(1, vec!["dry".into(), "warm".into()]);
        rows.describe(1, "How it sounds");
        rows.set_default(1, Some("dry".into()));
        rows.require(1, true);
        assert!(rows.rename(1, "tone") && rows.shift(1, false) && !rows.shift(0, false));
        assert_eq!(
            rows.clone().into_schema(),
            Some(json!({
                "type": "object",
                "properties": {
                    "tone": {"type": "string", "enum": ["dry", "warm"], "description": "How it sounds", "default": "dry"},
                    "code": {"type": "string", "maxLength": 200}
                },
                "required": ["tone"]
            }))
        );
        rows.remove(0);
        rows.remove(0);
        assert_eq!(rows.into_schema(), None);
    }

    #[test]
    fn what_is_no_object_has_no_rows() {
        for schema in [json!(true), json!({"type": "array"}), json!({"oneOf": []}), json!({"$ref": "#/x"})] {
            assert_eq!(SchemaRows::of(Some(&schema)), Err(NoRows::NoObject), "{schema}");
        }
        assert_eq!(SchemaRows::of(Some(&json!({"properties": 3}))), Err(NoRows::Malformed));
    }

    #[test]
    fn defaults_are_written_as_people_do() {
        assert_eq!(RowKind::Integer.read(" 3 "), Ok(Some(json!(3))));
        assert!(RowKind::Integer.read("3.5").is_err());
        assert_eq!(RowKind::Text.read("3"), Ok(Some(json!("3"))));
        assert_eq!(RowKind::List(ItemKind::Text).read("[1]"), Ok(Some(json!([1]))));
        assert_eq!(RowKind::Number.read(""), Ok(None));
        assert_eq!(RowKind::Text.written(&json!("a")), "a");
        assert_eq!(RowKind::Any.written(&json!("a")), "\"a\"");
    }

    fn anything() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            "[a-z]{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::vec(("[a-z]{1,5}", inner), 0..3)
                    .prop_map(|entries| Value::Object(entries.into_iter().collect())),
            ]
        })
    }

    fn property() -> impl Strategy<Value = Value> {
        let word = prop::sample::select(vec![
            "type",
            "description",
            "default",
            "examples",
            "enum",
            "items",
            "format",
            "title",
            "minimum",
            "x-own",
        ]);
        let kind = prop::sample::select(vec!["string", "integer", "array", "object", "boolean", "null"]);
        let value = prop_oneof![anything(), kind.prop_map(Value::from)];
        let entries = prop::collection::vec((word.prop_map(str::to_owned), value), 0..5);
        prop_oneof![
            9 => entries.prop_map(|entries| Value::Object(entries.into_iter().collect())),
            1 => any::<bool>().prop_map(Value::from),
        ]
    }

    fn schema() -> impl Strategy<Value = Value> {
        let properties = prop::collection::vec(("[a-z]{1,6}", property()), 1..5);
        let beside = prop::collection::vec(("x-[a-z]{1,4}", anything()), 0..3);
        (properties, beside, any::<bool>()).prop_map(|(properties, beside, typed)| {
            let mut schema: Map<String, Value> = beside.into_iter().collect();
            if typed {
                schema.insert("type".into(), "object".into());
            }
            let required: Vec<_> = properties.iter().step_by(2).map(|(name, _)| name.clone()).collect();
            schema.insert("properties".into(), Value::Object(properties.into_iter().collect()));
            schema.insert("required".into(), required.into());
            Value::Object(schema)
        })
    }

    proptest! {
        #[test]
        fn rows_and_back_keep_everything(schema in schema()) {
            let rows = rows(&schema);
            let _ = rows.rows();
            let back = rows.into_schema().unwrap();
            // Compared as texts, so that the order counts too.
            prop_assert_eq!(back.to_string(), schema.to_string());
        }

        #[test]
        fn a_change_leaves_the_rest_alone(schema in schema(), at in 0_usize..4) {
            let mut changed = rows(&schema);
            let count = changed.rows().len();
            let at = at % count;
            changed.describe(at, "Said.");
            changed.set_example(at, Some(json!(1)));
            changed.set_kind(at, RowKind::Boolean);
            changed.rename(at, "another-name");
            let back = changed.into_schema().unwrap();
            let without = |schema: &Value| {
                let mut schema = schema.clone();
                let entries = schema["properties"].as_object().unwrap().clone().into_iter().enumerate();
                let others: Map<_, _> = entries.filter(|(place, _)| *place != at).map(|(_, entry)| entry).collect();
                let names: Vec<_> = others.keys().cloned().collect();
                schema["required"] = schema["required"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter(|name| names.iter().any(|other| *name == other))
                    .cloned()
                    .collect();
                schema["properties"] = Value::Object(others);
                schema.to_string()
            };
            prop_assert_eq!(without(&back), without(&schema));
        }
    }
}
