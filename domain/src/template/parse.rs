//! Converts a value to a [`Template`], field by field, so that every invalid field is reported, not only the first.

use serde_json::{Map, Value};

use super::document::{API_VERSION, Step, StepType, Template, Uses, is_tool_name};
use super::place::{Path, Problems};
use crate::{key::TemplateKey, plan::OnFailure, problem::shorten};

/// Maximum number of steps.
pub const MAX_STEPS: usize = 5_000;
/// Longest name of a template or a step, in characters.
pub const MAX_NAME: usize = 200;
/// Largest `maxRetries`.
pub const MAX_RETRIES: u32 = 100;
/// Longest `timeout`: 30 days in milliseconds.
pub const MAX_TIMEOUT_MS: u64 = 30 * 24 * 60 * 60 * 1000;

const TEMPLATE_FIELDS: &[&str] = &["apiVersion", "key", "name", "description", "input", "output", "steps"];
const STEP_FIELDS: &[&str] = &[
    "name",
    "description",
    "prompt",
    "order",
    "stepType",
    "dependsOn",
    "parallelGroup",
    "condition",
    "forEach",
    "maxParallel",
    "inputMapping",
    "outputMapping",
    "outputSchema",
    "uses",
    "with",
    "tools",
    "maxRetries",
    "timeout",
    "onFailure",
    "idempotent",
];

/// The template, if its shape is valid.
pub(crate) fn template(value: &Value, problems: &mut Problems<'_>) -> Option<Template> {
    let root = Path::Root;
    let Some(map) = value.as_object() else {
        let message =
            format!("a template is an object with apiVersion, key, name and steps, not {}", kind(value));
        problems.add(&root, message);
        return None;
    };
    let mut fields = Fields { map, path: &root, problems };
    fields.refuse_unknown(TEMPLATE_FIELDS, "a template");
    let api_version = fields.required_text("apiVersion");
    if api_version.as_deref().is_some_and(|version| version != API_VERSION) {
        fields.problem("apiVersion", format!("this reads templates of version '{API_VERSION}' only"));
    }
    let key = fields.required_text("key").and_then(|key| match TemplateKey::parse(&key) {
        Ok(key) => Some(key),
        Err(error) => {
            fields.problem("key", format!("{error}; for example '{}'", TemplateKey::from_title(&key)));
            None
        }
    });
    let name = fields.name();
    let description = fields.text("description");
    let input = fields.present("input").cloned();
    let output = fields.text("output");
    let steps = steps(map, &root, problems);
    let template = Template {
        api_version: api_version?,
        key: key?,
        name: name?,
        description,
        input,
        output,
        steps: steps?,
    };
    Some(template)
}

fn steps(map: &Map<String, Value>, root: &Path<'_>, problems: &mut Problems<'_>) -> Option<Vec<Step>> {
    let path = root.key("steps");
    let items = match map.get("steps") {
        Some(Value::Array(items)) if !items.is_empty() => items,
        Some(Value::Array(_)) => {
            problems.add(&path, "a template needs at least one step");
            return None;
        }
        None | Some(Value::Null) => {
            problems.add(root, "'steps' is missing: a template needs at least one step");
            return None;
        }
        Some(other) => {
            problems.add(&path, format!("must be a list of steps, not {}", kind(other)));
            return None;
        }
    };
    if items.len() > MAX_STEPS {
        problems
            .add(&path, format!("a template has at most {MAX_STEPS} steps, this one has {}", items.len()));
        return None;
    }
    let mut steps = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        steps.extend(step(item, &path.index(index), problems));
    }
    // Steps are identified by position: if one is missing, the later steps would get the wrong place.
    (steps.len() == items.len()).then_some(steps)
}

fn step(value: &Value, path: &Path<'_>, problems: &mut Problems<'_>) -> Option<Step> {
    let Some(map) = value.as_object() else {
        problems.add(path, format!("a step is an object with a name, not {}", kind(value)));
        return None;
    };
    let mut fields = Fields { map, path, problems };
    fields.refuse_unknown(STEP_FIELDS, "a step");
    let name = fields.name();
    let step = Step {
        name: String::new(),
        description: fields.text("description"),
        prompt: fields.text("prompt"),
        order: fields.order(),
        step_type: fields.word("stepType", &["sequential", "parallel", "conditional"]).map(
            |word| match word {
                "parallel" => StepType::Parallel,
                "conditional" => StepType::Conditional,
                _ => StepType::Sequential,
            },
        ),
        depends_on: fields.texts("dependsOn"),
        parallel_group: fields.filled_text("parallelGroup"),
        condition: fields.filled_text("condition"),
        for_each: fields.filled_text("forEach"),
        max_parallel: fields
            .number("maxParallel", 1, u64::from(u32::MAX))
            .and_then(|n| u32::try_from(n).ok()),
        input_mapping: fields.mapping("inputMapping").unwrap_or_default(),
        output_mapping: fields.mapping("outputMapping").unwrap_or_default(),
        output_schema: fields.present("outputSchema").cloned(),
        uses: fields.uses(),
        with: fields.object("with"),
        tools: fields.tools(),
        max_retries: fields
            .number("maxRetries", 0, u64::from(MAX_RETRIES))
            .and_then(|n| u32::try_from(n).ok())
            .unwrap_or_default(),
        timeout: fields.number("timeout", 1, MAX_TIMEOUT_MS),
        on_failure: match fields.word("onFailure", &["fail", "continue"]) {
            Some("continue") => OnFailure::Continue,
            _ => OnFailure::Fail,
        },
        idempotent: fields.flag("idempotent"),
    };
    Some(Step { name: name?, ..step })
}

/// The fields of one object, read one by one.
struct Fields<'v, 'p, 'd> {
    map: &'v Map<String, Value>,
    path: &'p Path<'p>,
    problems: &'p mut Problems<'d>,
}

impl<'v> Fields<'v, '_, '_> {
    fn problem(&mut self, field: &str, message: impl Into<String>) {
        self.problems.add(&self.path.key(field), message);
    }

    fn wrong(&mut self, field: &str, wanted: &str, value: &Value) {
        let hint = match (wanted, value) {
            ("text", Value::Object(_)) => "; an expression needs quotes, as in \"{{ context.input.code }}\"",
            ("text", Value::Number(_) | Value::Bool(_)) => "; put it in quotes",
            _ => "",
        };
        self.problem(field, format!("must be {wanted}, not {}{hint}", kind(value)));
    }

    /// A field that is present and not null. An optional field left empty counts as absent.
    fn present(&self, field: &str) -> Option<&'v Value> {
        self.map.get(field).filter(|value| !value.is_null())
    }

    fn refuse_unknown(&mut self, known: &[&'static str], owner: &str) {
        for name in self.map.keys().filter(|name| !known.contains(&name.as_str())) {
            let shown = shorten(name, 80);
            let message = if name.to_lowercase().contains("role") {
                format!(
                    "'{shown}' has no place in a template: roles are chosen when it is executed, for each step by its name"
                )
            } else if let Some(near) = self.problems.nearest(name, known.iter().copied()) {
                format!("{owner} has no field '{shown}'; did you mean '{near}'?")
            } else {
                format!("{owner} has no field '{shown}'; it has {}", known.join(", "))
            };
            self.problem(name, message);
        }
    }

    fn text(&mut self, field: &str) -> Option<String> {
        match self.present(field)? {
            Value::String(text) => Some(text.clone()),
            other => {
                self.wrong(field, "text", other);
                None
            }
        }
    }

    fn filled_text(&mut self, field: &str) -> Option<String> {
        let text = self.text(field)?;
        if text.trim().is_empty() {
            self.problem(field, "must not be empty: leave it out instead");
            return None;
        }
        Some(text)
    }

    fn required_text(&mut self, field: &str) -> Option<String> {
        if self.present(field).is_none() {
            self.problems.add(self.path, format!("'{field}' is missing"));
            return None;
        }
        self.text(field)
    }

    fn name(&mut self) -> Option<String> {
        let name = self.required_text("name")?;
        let length = name.chars().count();
        let message = if name.trim().is_empty() {
            "a name must not be empty".to_owned()
        } else if length > MAX_NAME {
            format!("a name has at most {MAX_NAME} characters, this one has {length}")
        } else if name.trim() != name {
            "a name must not start or end with a space".to_owned()
        } else if name.chars().any(char::is_control) {
            "a name must not have line breaks or control characters".to_owned()
        } else {
            return Some(name);
        };
        self.problem("name", message);
        None
    }

    fn texts(&mut self, field: &str) -> Option<Vec<String>> {
        let items = match self.present(field)? {
            Value::Array(items) => items,
            Value::String(text) => {
                let message = format!("must be a list of names, as in [\"{}\"]", shorten(text, 80));
                self.problem(field, message);
                return None;
            }
            other => {
                self.wrong(field, "a list of names", other);
                return None;
            }
        };
        let path = self.path.key(field);
        let mut texts = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            match item {
                Value::String(text) => texts.push(text.clone()),
                other => {
                    self.problems.add(&path.index(index), format!("must be text, not {}", kind(other)));
                }
            }
        }
        (texts.len() == items.len()).then_some(texts)
    }

    fn tools(&mut self) -> Vec<String> {
        let tools = self.texts("tools").unwrap_or_default();
        let path = self.path.key("tools");
        for (index, tool) in tools.iter().enumerate().filter(|(_, tool)| !is_tool_name(tool)) {
            let shown = shorten(tool, 80);
            self.problems.add(&path.index(index), format!("'{shown}' cannot be the name of a tool"));
        }
        tools
    }

    fn number(&mut self, field: &str, least: u64, most: u64) -> Option<u64> {
        let value = self.present(field)?;
        match value.as_u64().filter(|number| (least..=most).contains(number)) {
            Some(number) => Some(number),
            None => {
                let unit = if field == "timeout" { " (milliseconds; 30 days at most)" } else { "" };
                let got = if value.is_number() { value.to_string() } else { kind(value).to_owned() };
                self.problem(
                    field,
                    format!("must be a whole number from {least} to {most}{unit}, not {got}"),
                );
                None
            }
        }
    }

    fn order(&mut self) -> Option<i64> {
        let value = self.present("order")?;
        if value.as_i64().is_none() {
            let got = if value.is_number() { value.to_string() } else { kind(value).to_owned() };
            self.problem("order", format!("must be a whole number, not {got}"));
        }
        value.as_i64()
    }

    fn flag(&mut self, field: &str) -> bool {
        match self.present(field) {
            None => false,
            Some(Value::Bool(flag)) => *flag,
            Some(other) => {
                self.wrong(field, "true or false", other);
                false
            }
        }
    }

    fn word(&mut self, field: &str, words: &[&'static str]) -> Option<&'static str> {
        let text = self.text(field)?;
        let word = words.iter().find(|word| **word == text).copied();
        if word.is_none() {
            let shown = shorten(&text, 80);
            self.problem(field, format!("must be one of {}, not '{shown}'", words.join(", ")));
        }
        word
    }

    fn object(&mut self, field: &str) -> Option<Map<String, Value>> {
        match self.present(field)? {
            Value::Object(map) => Some(map.clone()),
            other => {
                self.wrong(field, "an object", other);
                None
            }
        }
    }

    fn mapping(&mut self, field: &str) -> Option<Map<String, Value>> {
        let map = self.object(field)?;
        let path = self.path.key(field);
        for name in map.keys() {
            let message = if name.trim().is_empty() {
                "a name must not be empty".to_owned()
            } else if name.chars().count() > MAX_NAME {
                format!("a name has at most {MAX_NAME} characters")
            } else {
                continue;
            };
            self.problems.add(&path.key(name), message);
        }
        Some(map)
    }

    fn uses(&mut self) -> Option<Uses> {
        let text = self.text("uses")?;
        match Uses::parse(&text) {
            Ok(uses) => Some(uses),
            Err(error) => {
                self.problem("uses", error.to_string());
                None
            }
        }
    }
}

/// The name of a value's type, for messages.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
