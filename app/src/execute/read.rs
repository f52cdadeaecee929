//! A launch, read from the texts of its form. The template's schema says how each text is meant.

#[cfg(feature = "ssr")]
use super::server::LaunchForm;
#[cfg(feature = "ssr")]
use domain::{comparison::MOST_COMPARED, key::RoleKey, problem::Problem, schema::FieldKind};
use domain::{
    schema::{FormField, form_fields},
    template::Template,
};
#[cfg(feature = "ssr")]
use serde_json::{Map, Value};
#[cfg(feature = "ssr")]
use std::collections::BTreeMap;

/// The form's key of a whole input that is entered as JSON, because its schema has no fields to make a form of.
pub const WHOLE: &str = "whole";

/// The fields of a template's input form.
pub fn fields(template: &Template) -> Vec<FormField> {
    template.input.as_ref().map(form_fields).unwrap_or_default()
}

/// The input that the texts stand for, and which of them cannot be read. An empty text is no value at all, unless
/// the field is a text that the schema gives a default.
#[cfg(feature = "ssr")]
pub fn input(template: &Template, texts: &BTreeMap<String, String>) -> (Value, Vec<Problem>) {
    let fields = fields(template);
    let mut problems = Vec::new();
    if fields.is_empty() {
        let text = texts.get(WHOLE).map_or("", |text| text.trim());
        let value = if text.is_empty() { Ok(Value::Object(Map::new())) } else { serde_json::from_str(text) };
        let value = value.unwrap_or_else(|error| {
            problems.push(Problem::new("input", format!("is no JSON: {error}")));
            Value::Null
        });
        return (value, problems);
    }
    let mut input = Map::new();
    for (index, field) in fields.iter().enumerate() {
        let text = texts.get(&format!("f{index}")).map(String::as_str);
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
    // A box that is not ticked is not sent at all.
    if field.kind == FieldKind::Boolean {
        return Ok(Some(Value::Bool(text.is_some_and(|text| !text.is_empty() && text != "false"))));
    }
    let text = text.unwrap_or_default();
    if text.trim().is_empty() {
        return Ok(None);
    }
    let trimmed = text.trim();
    match &field.kind {
        FieldKind::Text | FieldKind::LongText | FieldKind::Choice(_) => {
            Ok(Some(Value::String(text.replace("\r\n", "\n"))))
        }
        FieldKind::Integer => match trimmed.parse::<i64>() {
            Ok(number) => Ok(Some(number.into())),
            Err(_) => Err("must be a whole number".to_owned()),
        },
        FieldKind::Number => match trimmed.parse::<f64>().ok().and_then(serde_json::Number::from_f64) {
            Some(number) => Ok(Some(number.into())),
            None => Err("must be a number".to_owned()),
        },
        FieldKind::Json => match serde_json::from_str(trimmed) {
            Ok(value) => Ok(Some(value)),
            Err(error) => Err(format!("is no JSON: {error}")),
        },
        FieldKind::Boolean => Ok(None),
    }
}

/// What the engine launches, and what cannot be read.
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

/// The assignments beside the first.
#[cfg(feature = "ssr")]
pub fn others(
    template: &Template,
    form: &LaunchForm,
    problems: &mut Vec<Problem>,
) -> Vec<BTreeMap<String, RoleKey>> {
    // A step without role sends nothing, and a role that nobody chose an empty text: the letters say how many there are.
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
    fn an_input_without_fields_is_entered_whole() {
        let template = template(json!({"type": "object"}));
        assert_eq!(input(&template, &texts(&[(WHOLE, "{\"a\": 1}")])).0, json!({"a": 1}));
        assert_eq!(input(&template, &texts(&[])).0, json!({}));
        assert_eq!(input(&template, &texts(&[(WHOLE, "{")])).1.len(), 1);
    }
}
