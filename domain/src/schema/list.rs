//! Lists in an input form: one row per item, with one control for plain values or one per property for objects.
//!
//! Invariant: rows written from a value read back as that value. A value that rows cannot represent exactly (they
//! cannot tell an empty text from none, say) is entered as JSON.

use super::{FieldKind, FormField, form_fields, kind_of};
use crate::json::{self, is_whole};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};

/// Maximum number of rows; a longer list is entered as JSON.
pub const MOST_ROWS: usize = 200;

/// The texts of one row's cells, in the order of the columns.
pub type RowTexts = Vec<String>;

/// How the rows of a list are entered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListField {
    /// The properties of the items; for items that are plain values, a single column without a name.
    pub columns: Vec<FormField>,
    /// Whether the items are objects.
    pub objects: bool,
}

/// A cell whose text is not a valid value of its kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misread {
    /// The item's index in the resulting list.
    pub item: usize,
    pub column: usize,
    pub message: String,
}

/// Why a value cannot be shown as rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotInRows {
    #[error("it is no list")]
    NoList,
    #[error("item {} does not fit into a row", .0 + 1)]
    Item(usize),
    #[error("more than {MOST_ROWS} items do not fit into rows")]
    TooMany,
}

impl ListField {
    /// `None` if the items can only be entered as JSON.
    pub(super) fn of(name: &str, property: &Value) -> Option<Self> {
        let items = property.get("items")?;
        if items.get("properties").is_some() {
            let columns = form_fields(items);
            let plain = |field: &FormField| !matches!(field.kind, FieldKind::Json | FieldKind::List(_));
            let shown = super::type_of(items).is_none_or(|word| word == "object")
                && !columns.is_empty()
                && columns.iter().all(plain);
            return shown.then_some(Self { columns, objects: true });
        }
        // The list's name determines whether its texts are long: `text` and `code` name long ones.
        let kind = match kind_of(name, items) {
            FieldKind::Json | FieldKind::List(_) => return None,
            kind => kind,
        };
        let column = FormField {
            name: String::new(),
            title: String::new(),
            description: None,
            kind,
            required: true,
            default: None,
            example: items.get("examples").and_then(|examples| examples.get(0)).cloned(),
        };
        Some(Self { columns: vec![column], objects: false })
    }

    /// The items that the rows represent. Rows without any text are skipped. A text that is not valid for its kind is
    /// returned verbatim and reported.
    pub fn read<'a>(&self, rows: impl IntoIterator<Item = &'a RowTexts>) -> (Vec<Value>, Vec<Misread>) {
        let (mut items, mut misread) = (Vec::new(), Vec::new());
        for row in rows.into_iter().filter(|row| !is_blank(row)) {
            let mut cell = |column: usize, field: &FormField| {
                let text = row.get(column).map_or("", String::as_str);
                field.kind.read(text).unwrap_or_else(|message| {
                    misread.push(Misread { item: items.len(), column, message });
                    Some(text.into())
                })
            };
            let fields = self.columns.iter().enumerate();
            let item = if self.objects {
                let entries = fields.filter_map(|(at, field)| Some((field.name.clone(), cell(at, field)?)));
                Value::Object(entries.collect::<Map<_, _>>())
            } else {
                fields.map(|(at, field)| cell(at, field)).next().flatten().unwrap_or_default()
            };
            items.push(item);
        }
        (items, misread)
    }

    /// The rows of a value.
    ///
    /// # Errors
    /// Rows cannot represent the value exactly.
    pub fn rows(&self, value: &Value) -> Result<Vec<RowTexts>, NotInRows> {
        let items = value.as_array().ok_or(NotInRows::NoList)?;
        if items.len() > MOST_ROWS {
            return Err(NotInRows::TooMany);
        }
        let row = |(at, item)| self.row(item).ok_or(NotInRows::Item(at));
        items.iter().enumerate().map(row).collect()
    }

    fn row(&self, item: &Value) -> Option<RowTexts> {
        if !self.objects {
            return Some(vec![self.columns.first()?.kind.written(item)?]);
        }
        let item = item.as_object()?;
        let known = |name: &String| self.columns.iter().any(|column| column.name == *name);
        if item.is_empty() || !item.keys().all(known) {
            return None;
        }
        let cell = |column: &FormField| match item.get(&column.name) {
            None => Some(String::new()),
            Some(value) => column.kind.written(value),
        };
        self.columns.iter().map(cell).collect()
    }

    /// The path of a cell's problem, starting with the list's own path.
    pub fn path(&self, list: &str, item: usize, column: usize) -> String {
        match self.columns.get(column) {
            Some(column) if self.objects => format!("{list}[{item}].{}", column.name),
            _ => format!("{list}[{item}]"),
        }
    }
}

/// Parses a whole number that a person typed.
pub(super) fn read_integer(text: &str) -> Result<Number, &'static str> {
    match json::whole(text) {
        Some(number) => Ok(number),
        None if is_whole(text) => Err("must be a whole number of at most 64 bits"),
        None => Err("must be a whole number"),
    }
}

/// Parses a number that a person typed: a whole number keeps all its digits, any other becomes a float.
pub(super) fn read_number(text: &str) -> Result<Number, &'static str> {
    match json::whole(text) {
        Some(number) => Ok(number),
        None if is_whole(text) => Err(json::TOO_LONG_TYPED),
        None => text.parse().ok().and_then(Number::from_f64).ok_or("must be a number"),
    }
}

/// Whether nothing was entered in a row.
pub fn is_blank(row: &RowTexts) -> bool {
    row.iter().all(|text| text.trim().is_empty())
}

impl FieldKind {
    /// Parses a text as a value of this kind; `None` for an empty text.
    ///
    /// # Errors
    /// The expected form of the value.
    pub fn read(&self, text: &str) -> Result<Option<Value>, String> {
        let trimmed = text.trim();
        if trimmed.is_empty() {
            return Ok(None);
        }
        let value = match self {
            Self::Text | Self::LongText => Value::String(text.replace("\r\n", "\n")),
            // Pasted text may match none of the choices.
            Self::Choice(choices) => {
                let meant = |words: &str| choices.iter().find(|choice| *choice == words);
                let found = meant(text).or_else(|| meant(trimmed));
                found.cloned().ok_or_else(|| format!("must be one of {}", choices.join(", ")))?.into()
            }
            Self::Integer => read_integer(trimmed)?.into(),
            Self::Number => read_number(trimmed)?.into(),
            Self::Boolean => trimmed.parse::<bool>().map_err(|_| "must be yes or no")?.into(),
            Self::List(_) | Self::Json => {
                json::read(trimmed.as_bytes(), "").map_err(|error| error.to_string())?
            }
        };
        Ok(Some(value))
    }

    /// The cell text of a value; `None` if it would not read back as that value.
    fn written(&self, value: &Value) -> Option<String> {
        let text = match (self, value) {
            (Self::Text, Value::String(text)) if !text.contains(['\n', '\r']) => text.clone(),
            (Self::LongText, Value::String(text)) if !text.contains('\r') => text.clone(),
            (Self::Choice(choices), Value::String(text)) if choices.contains(text) => text.clone(),
            (Self::Integer, Value::Number(number)) if !number.is_f64() => number.to_string(),
            (Self::Number, Value::Number(number)) => number.to_string(),
            (Self::Boolean, Value::Bool(_)) => value.to_string(),
            _ => return None,
        };
        (!text.trim().is_empty()).then_some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn list(property: Value) -> Option<ListField> {
        ListField::of("items", &property)
    }

    fn texts(rows: &[&[&str]]) -> Vec<RowTexts> {
        rows.iter().map(|row| row.iter().map(|text| (*text).to_owned()).collect()).collect()
    }

    fn people() -> ListField {
        let items = json!({"type": "object", "required": ["name"], "properties": {
            "name": {"type": "string"}, "age": {"type": "integer"}, "adult": {"type": "boolean"},
            "tone": {"enum": ["dry", "warm"]}}});
        list(json!({"type": "array", "items": items})).expect("its fields are plain")
    }

    #[test]
    fn lists_of_plain_values_and_of_flat_objects_have_rows() {
        for items in [json!({"type": "string"}), json!({"enum": ["a"]}), json!({"type": ["integer", "null"]})]
        {
            let list = list(json!({ "items": items })).expect("it has rows");
            assert_eq!((list.columns.len(), list.objects), (1, false), "{items}");
        }
        assert_eq!(people().columns.len(), 4);
        let deep = json!({"properties": {"tags": {"type": "array", "items": {"type": "string"}}}});
        for items in
            [json!({}), json!({"type": "object"}), json!({"type": "array"}), json!({"enum": [1]}), deep]
        {
            assert_eq!(list(json!({ "items": items })), None, "{items}");
        }
        assert_eq!(list(json!({"type": "array"})), None);
    }

    #[test]
    fn rows_are_read_and_what_cannot_be_is_named() {
        let rows = texts(&[&["Ada", "36", "true", "dry "], &["", " ", "", ""], &["Bob", "old", "", "wet"]]);
        let (items, misread) = people().read(&rows);
        assert_eq!(
            items,
            [
                json!({"name": "Ada", "age": 36, "adult": true, "tone": "dry"}),
                json!({"name": "Bob", "age": "old", "tone": "wet"})
            ]
        );
        let whole = Misread { item: 1, column: 1, message: "must be a whole number".into() };
        let one = Misread { item: 1, column: 3, message: "must be one of dry, warm".into() };
        assert_eq!(misread, [whole, one]);
        assert_eq!(people().path("input.people", 1, 1), "input.people[1].age");
    }

    #[test]
    fn a_number_typed_keeps_its_digits_or_is_refused() {
        for (kind, text, value) in [
            (FieldKind::Integer, "18446744073709551615", json!(u64::MAX)),
            (FieldKind::Integer, "-9223372036854775808", json!(i64::MIN)),
            (FieldKind::Number, "9223372036854775808", json!(9_223_372_036_854_775_808_u64)),
            (FieldKind::Number, "9007199254740993", json!(9_007_199_254_740_993_u64)),
            (FieldKind::Number, "1.2e29", json!(1.2e29)),
            (FieldKind::Json, "[18446744073709551615]", json!([u64::MAX])),
        ] {
            assert_eq!(kind.read(text), Ok(Some(value)), "{text}");
            assert_eq!(kind.written(&kind.read(text).unwrap().unwrap()).is_some(), kind != FieldKind::Json);
        }
        for (kind, text) in [
            (FieldKind::Integer, "18446744073709551616"),
            (FieldKind::Number, "123456789012345678901234567890"),
            (FieldKind::Number, "-9223372036854775809"),
            (FieldKind::Json, "{\"a\": [123456789012345678901234567890]}"),
        ] {
            let message = kind.read(text).unwrap_err();
            assert!(message.contains("64 bits"), "{text}: {message}");
        }
    }

    #[test]
    fn what_rows_would_change_has_none() {
        let names = list(json!({"items": {"type": "string"}})).expect("it has rows");
        assert_eq!(names.rows(&json!(["a", "b"])), Ok(texts(&[&["a"], &["b"]])));
        for item in [json!(""), json!("two\nlines"), json!(1), json!(null), json!(["a"])] {
            assert_eq!(names.rows(&json!(["a", item])), Err(NotInRows::Item(1)), "{item}");
        }
        assert_eq!(names.rows(&json!({})), Err(NotInRows::NoList));
        assert_eq!(names.rows(&json!(vec!["a"; MOST_ROWS + 1])), Err(NotInRows::TooMany));
        assert_eq!(people().rows(&json!([{"name": "Ada", "more": 1}])), Err(NotInRows::Item(0)));
        assert_eq!(people().rows(&json!([{}])), Err(NotInRows::Item(0)));
    }

    fn person() -> impl Strategy<Value = Value> {
        let cell = |value: BoxedStrategy<Value>| prop::option::of(value);
        (
            cell("[ a-z\n]{0,4}".prop_map(Value::from).boxed()),
            cell(any::<i64>().prop_map(Value::from).boxed()),
            cell(any::<bool>().prop_map(Value::from).boxed()),
            cell(prop::sample::select(vec!["dry", "warm", "wet"]).prop_map(Value::from).boxed()),
        )
            .prop_map(|(name, age, adult, tone)| {
                let entries = [("name", name), ("age", age), ("adult", adult), ("tone", tone)];
                entries.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
            })
    }

    proptest! {
        #[test]
        fn rows_read_as_what_they_were_written_of(people_there in prop::collection::vec(person(), 0..4)) {
            let value = Value::from(people_there);
            if let Ok(rows) = people().rows(&value) {
                let (items, misread) = people().read(&rows);
                prop_assert_eq!(Value::from(items), value);
                prop_assert!(misread.is_empty());
            }
        }
    }
}
