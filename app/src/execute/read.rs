//! Parses a launch from the texts of its form, according to the template's schema.

#[cfg(feature = "ssr")]
use super::server::LaunchForm;
#[cfg(feature = "ssr")]
use domain::{
    comparison::MOST_COMPARED,
    json,
    key::RoleKey,
    problem::Problem,
    schema::{FieldKind, Misread},
};
use domain::{
    schema::{FormField, ListField, RowTexts, form_fields},
    template::Template,
};
#[cfg(feature = "ssr")]
use serde_json::Map;
use serde_json::Value;
use std::collections::BTreeMap;

/// The form key of an input that is entered as JSON as a whole, because its schema has no fields.
pub const WHOLE: &str = "whole";

/// The fields of a template's input form.
pub fn fields(template: &Template) -> Vec<FormField> {
    template.input.as_ref().map(form_fields).unwrap_or_default()
}

/// Parses the input, and reports the texts that are invalid. An empty text counts as no value, unless the field is a
/// text with a default in the schema.
#[cfg(feature = "ssr")]
pub fn input(template: &Template, texts: &BTreeMap<String, String>) -> (Value, Vec<Problem>) {
    let fields = fields(template);
    let mut problems = Vec::new();
    if fields.is_empty() {
        let text = texts.get(WHOLE).map_or("", |text| text.trim());
        let value =
            if text.is_empty() { Ok(Value::Object(Map::new())) } else { json::read(text.as_bytes(), "") };
        let value = value.unwrap_or_else(|error| {
            problems.push(Problem::new("input", error.to_string()));
            Value::Null
        });
        return (value, problems);
    }
    let mut input = Map::new();
    for (index, field) in fields.iter().enumerate() {
        if let FieldKind::List(list) = &field.kind {
            let value = listed(index, field, list, texts, &mut problems);
            input.extend(value.map(|value| (field.name.clone(), value)));
            continue;
        }
        let text = texts.get(&field_key(index)).map(String::as_str);
        match value(field, text) {
            Ok(Some(value)) => {
                input.insert(field.name.clone(), value);
            }
            Ok(None) => {}
            Err(message) => problems.push(Problem::new(format!("input.{}", field.name), message)),
        }
    }
    (Value::Object(input), problems)
}

#[cfg(feature = "ssr")]
fn value(field: &FormField, text: Option<&str>) -> Result<Option<Value>, String> {
    match field.kind {
        // An unchecked box is not submitted.
        FieldKind::Boolean => {
            Ok(Some(Value::Bool(text.is_some_and(|text| !text.is_empty() && text != "false"))))
        }
        _ => field.kind.read(text.unwrap_or_default()),
    }
}

/// Parses a list from its rows, or from its JSON if that is given. Rows without any text count as no list, unless the
/// schema has a default for it.
#[cfg(feature = "ssr")]
fn listed(
    place: usize,
    field: &FormField,
    list: &ListField,
    texts: &BTreeMap<String, String>,
    problems: &mut Vec<Problem>,
) -> Option<Value> {
    let path = format!("input.{}", field.name);
    let json = texts.get(&field_key(place)).map_or("", String::as_str);
    match field.kind.read(json) {
        Ok(Some(value)) => return Some(value),
        Ok(None) => {}
        Err(message) => {
            problems.push(Problem::new(path, message));
            return None;
        }
    }
    let (items, misread) = list.read(&rows(place, list, texts));
    let problem = |cell: Misread| Problem::new(list.path(&path, cell.item, cell.column), cell.message);
    problems.extend(misread.into_iter().map(problem));
    (!items.is_empty() || field.default.is_some()).then_some(Value::Array(items))
}

/// A list as JSON text; empty if it has no items.
pub fn list_text(place: usize, list: &ListField, texts: &BTreeMap<String, String>) -> String {
    match texts.get(&field_key(place)) {
        Some(json) if !json.trim().is_empty() => json.clone(),
        _ => match list.read(&rows(place, list, texts)).0 {
            items if items.is_empty() => String::new(),
            items => Value::Array(items).to_string(),
        },
    }
}

/// The rows of the list at this position of the form, in order.
fn rows(place: usize, list: &ListField, texts: &BTreeMap<String, String>) -> Vec<RowTexts> {
    let mut rows: BTreeMap<usize, RowTexts> = BTreeMap::new();
    let start = format!("f{place}i");
    for (key, text) in texts.range(start.clone()..).take_while(|(key, _)| key.starts_with(&start)) {
        let Some((row, column)) = key[start.len()..].split_once('c') else { continue };
        let (Ok(row), Ok(column)) = (row.parse(), column.parse::<usize>()) else { continue };
        let cells = rows.entry(row).or_insert_with(|| vec![String::new(); list.columns.len()]);
        if let Some(cell) = cells.get_mut(column) {
            cell.clone_from(text);
        }
    }
    rows.into_values().collect()
}

/// The form key of a field; for a list, of its JSON.
pub fn field_key(place: usize) -> String {
    format!("f{place}")
}

/// The form key of a cell of a list.
pub fn cell_key(place: usize, row: usize, column: usize) -> String {
    format!("f{place}i{row}c{column}")
}

/// The launch for the engine, and the problems of the form.
#[cfg(feature = "ssr")]
pub fn launch(template: &Template, form: &LaunchForm) -> (engine::Launch, Vec<Problem>) {
    let (input, mut problems) = input(template, &form.input);
    let role_assignments = roles(template, "", &form.roles, &mut problems);
    let task_id = match form.task.as_str() {
        "" => None,
        task => {
            task.parse().map_err(|_| problems.push(Problem::new("taskId", "is no conversation's id"))).ok()
        }
    };
    let idempotency_key = Some(form.idempotency_key.clone()).filter(|key| !key.is_empty());
    let branch = match form.branch.as_str() {
        "" => None,
        branch => branch.parse().map_err(|_| problems.push(Problem::new("branch", "is no branch"))).ok(),
    };
    (engine::Launch { input, role_assignments, task_id, branch, replaces: None, idempotency_key }, problems)
}

/// The additional assignments.
#[cfg(feature = "ssr")]
pub fn others(
    template: &Template,
    form: &LaunchForm,
    problems: &mut Vec<Problem>,
) -> Vec<BTreeMap<String, RoleKey>> {
    // A step without a role sends nothing, and a role left open sends an empty text: the prefixes determine the number
    // of assignments.
    let given = |variant: &usize| form.others.keys().any(|name| name.starts_with(&format!("v{variant}s")));
    let variants = (1..MOST_COMPARED).take_while(given);
    variants.map(|variant| roles(template, &format!("v{variant}"), &form.others, problems)).collect()
}

#[cfg(feature = "ssr")]
fn roles(
    template: &Template,
    prefix: &str,
    texts: &BTreeMap<String, String>,
    problems: &mut Vec<Problem>,
) -> BTreeMap<String, RoleKey> {
    let mut assigned = BTreeMap::new();
    for (index, step) in template.steps.iter().enumerate() {
        let Some(key) = texts.get(&format!("{prefix}s{index}")).filter(|key| !key.is_empty()) else {
            continue;
        };
        match RoleKey::parse(key) {
            Ok(key) => {
                assigned.insert(step.name.clone(), key);
            }
            Err(error) => {
                problems.push(Problem::new(format!("roleAssignments.{}", step.name), error.to_string()));
            }
        }
    }
    assigned
}

#[cfg(all(test, feature = "ssr"))]
mod tests {
    use super::*;
    use domain::{key::TemplateKey, template::API_VERSION};
    use serde_json::json;

    fn template(input: Value) -> Template {
        Template {
            api_version: API_VERSION.into(),
            key: TemplateKey::from_title("t"),
            name: "T".into(),
            description: None,
            input: Some(input),
            output: None,
            steps: Vec::new(),
        }
    }

    fn texts(texts: &[(&str, &str)]) -> BTreeMap<String, String> {
        texts.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned())).collect()
    }

    #[test]
    fn texts_become_what_the_schema_says() {
        let template = template(json!({"properties": {
            "code": {"type": "string"}, "depth": {"type": "integer"}, "deep": {"type": "boolean"},
            "weights": {"type": "array"}, "note": {"type": "string"},
        }}));
        let form = texts(&[("f0", "a\r\nb"), ("f1", " 3 "), ("f2", "on"), ("f3", "[1, 2]"), ("f4", "")]);
        let (value, problems) = input(&template, &form);
        assert_eq!(value, json!({"code": "a\nb", "depth": 3, "deep": true, "weights": [1, 2]}));
        assert!(problems.is_empty());

        let (_, problems) = input(&template, &texts(&[("f1", "three"), ("f3", "[1,")]));
        let paths: Vec<_> = problems.iter().map(|problem| problem.path.as_str()).collect();
        assert_eq!(paths, ["input.depth", "input.weights"]);
    }

    #[test]
    fn lists_are_read_from_rows_or_from_json() {
        let person = json!({"properties": {"name": {"type": "string"}, "age": {"type": "integer"}}});
        let template = template(json!({"properties": {
            "names": {"type": "array", "items": {"type": "string"}},
            "people": {"type": "array", "items": person, "default": [{"name": "Ada"}]},
        }}));
        let form = texts(&[
            ("f0i0c0", "b"),
            ("f0i1c0", ""),
            ("f0i10c0", "c"),
            ("f0i2c0", "a"),
            ("f0i3", "x"),
            ("f0i4c9", "x"),
            ("f1i0c0", "Bob"),
            ("f1i0c1", "41"),
        ]);
        let (value, problems) = input(&template, &form);
        assert_eq!(value, json!({"names": ["b", "a", "c"], "people": [{"name": "Bob", "age": 41}]}));
        assert!(problems.is_empty());

        let form = texts(&[("f0", "[\"j\"]"), ("f0i0c0", "row"), ("f1i0c0", " "), ("f1i1c1", "old")]);
        let (value, problems) = input(&template, &form);
        assert_eq!(value["names"], json!(["j"]), "JSON goes before the rows");
        assert_eq!(problems, [Problem::new("input.people[0].age", "must be a whole number")]);

        let (value, problems) = input(&template, &texts(&[("f0", "["), ("f0i0c0", ""), ("f1i0c0", "")]));
        assert_eq!(value, json!({"people": []}), "an emptied list is not the schema's own");
        assert_eq!(problems.len(), 1);
    }

    #[test]
    fn a_list_is_kept_as_json() {
        let fields =
            fields(&template(json!({"properties": {"n": {"type": "array", "items": {"type": "integer"}}}})));
        let FieldKind::List(list) = &fields[0].kind else { panic!("it has rows") };
        assert_eq!(list_text(0, list, &texts(&[("f0i0c0", "1"), ("f0i1c0", "two")])), "[1,\"two\"]");
        assert_eq!(list_text(0, list, &texts(&[("f0", "[1"), ("f0i1c0", "2")])), "[1");
        assert_eq!(list_text(0, list, &texts(&[("f0i0c0", " ")])), "");
    }

    #[test]
    fn an_input_without_fields_is_entered_whole() {
        let template = template(json!({"type": "object"}));
        assert_eq!(input(&template, &texts(&[(WHOLE, "{\"a\": 1}")])).0, json!({"a": 1}));
        assert_eq!(input(&template, &texts(&[])).0, json!({}));
        assert_eq!(input(&template, &texts(&[(WHOLE, "{")])).1.len(), 1);
    }
}
