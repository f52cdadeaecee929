//! Evaluation of a text against its context.
//!
//! Only the values that a text reads are converted for minijinja, so a long run's outputs are not copied for every
//! prompt. A text of names and literal parts is joined here without minijinja.

use std::collections::HashMap;
use std::io::Write;
use std::sync::Arc;

use minijinja::{Environment, value::Value as Jinja};
use serde_json::{Map, Value};

use super::sandbox::{self, Bounded, MAX_GROWN, MAX_TEXT, absent, explain, explain_in};
use super::syntax::{Analysis, Form, Piece};
use super::{Context, ExpressionError, MAX_ITEMS};
use crate::plan::Plan;
use crate::template::{Step, Template};

/// Evaluates expressions, from any thread.
#[derive(Debug)]
pub struct Evaluator {
    env: Environment<'static>,
    /// The analysed texts of one template, which are evaluated repeatedly. Texts that are more than names are compiled
    /// in `env`.
    known: HashMap<String, Arc<Analysis>>,
    /// The template's analysed conditions and lists, whose braces are optional.
    known_bare: HashMap<String, Arc<Analysis>>,
}

impl Default for Evaluator {
    fn default() -> Self {
        Self::new()
    }
}

/// The names that an expression can read in addition to `context`.
type Names<'a> = &'a Map<String, Value>;

impl Evaluator {
    pub fn new() -> Self {
        Self { env: sandbox::environment(), known: HashMap::new(), known_bare: HashMap::new() }
    }

    /// An evaluator that has analysed all texts of `template` once, in advance.
    pub fn of(template: &Template) -> Self {
        let mut this = Self::new();
        for step in &template.steps {
            this.learn(step.prompt.as_ref().or(step.description.as_ref()));
            for text in step.condition.iter().chain(&step.for_each) {
                if let Ok(analysis) = Analysis::of_bare(text) {
                    this.known_bare.insert(text.clone(), Arc::new(analysis));
                }
            }
            for value in step.input_mapping.values().chain(step.output_mapping.values()) {
                this.learn(value.as_str());
            }
        }
        this.learn(template.output.as_ref());
        this
    }

    /// Errors in a text are ignored here: its evaluation reports them.
    fn learn(&mut self, text: Option<impl AsRef<str>>) {
        if let Some(text) = text
            && let Ok(analysis) = Analysis::of_text(text.as_ref())
        {
            let text = text.as_ref().to_owned();
            if analysis.form == Form::Text && analysis.pieces.is_none() {
                // A text that does not compile is compiled again when it is evaluated, which reports the error.
                let _ = self.env.add_template_owned(text.clone(), text.clone());
            }
            self.known.insert(text, Arc::new(analysis));
        }
    }

    fn analysis(&self, text: &str) -> Result<Arc<Analysis>, ExpressionError> {
        match self.known.get(text) {
            Some(analysis) => Ok(analysis.clone()),
            None => Analysis::of_text(text).map(Arc::new),
        }
    }

    fn analysis_bare(&self, text: &str) -> Result<Arc<Analysis>, ExpressionError> {
        match self.known_bare.get(text) {
            Some(analysis) => Ok(analysis.clone()),
            None => Analysis::of_bare(text).map(Arc::new),
        }
    }

    /// Whether a condition holds. Braces are optional; truth is Jinja's (not false, null, 0 or empty).
    pub fn condition(&self, text: &str, context: &Context<'_>) -> Result<bool, ExpressionError> {
        let analysis = self.analysis_bare(text)?;
        let value = self.evaluate(text, &analysis, Some(context), &Map::new())?;
        Ok(match value {
            Value::Null => false,
            Value::Bool(value) => value,
            Value::Number(number) => number.as_f64() != Some(0.0),
            Value::String(text) => !text.is_empty(),
            Value::Array(items) => !items.is_empty(),
            Value::Object(map) => !map.is_empty(),
        })
    }

    /// The items of a `forEach`: an expression, braces optional, that evaluates to a list of at most [`MAX_ITEMS`].
    pub fn items(&self, text: &str, context: &Context<'_>) -> Result<Vec<Value>, ExpressionError> {
        let analysis = self.analysis_bare(text)?;
        match self.evaluate(text, &analysis, Some(context), &Map::new())? {
            Value::Array(items) if items.len() > MAX_ITEMS => Err(ExpressionError::new(format!(
                "gives {} items; a step runs for at most {MAX_ITEMS}",
                items.len()
            ))),
            Value::Array(items) => Ok(items),
            other => Err(ExpressionError::new(format!("gives {}, not a list", kind(&other)))),
        }
    }

    /// The arguments of the step's body, with the texts in them evaluated.
    pub fn arguments(
        &self,
        step: &Step,
        context: &Context<'_>,
    ) -> Result<Map<String, Value>, ExpressionError> {
        match &step.with {
            Some(with) => self.mapping("with", with, Some(context), &Map::new()),
            None => Ok(Map::new()),
        }
    }

    /// The value of a mapping's text: it keeps its type if the text is a single `{{ }}`, otherwise it is a string.
    pub fn value(&self, text: &str, context: &Context<'_>) -> Result<Value, ExpressionError> {
        self.text_value(text, Some(context), &Map::new())
    }

    /// The step's mapped inputs, in the document's order. Values that are not texts are literals, inside lists and
    /// objects as well.
    pub fn input_mapping(
        &self,
        step: &Step,
        context: &Context<'_>,
    ) -> Result<Map<String, Value>, ExpressionError> {
        self.mapping("inputMapping", &step.input_mapping, Some(context), &Map::new())
    }

    /// The values that the step adds to `context`, by key.
    pub fn output_mapping(&self, step: &Step, output: &Value) -> Result<Map<String, Value>, ExpressionError> {
        if step.output_mapping.is_empty() {
            return Ok(Map::new());
        }
        let names = Map::from_iter([("output".to_owned(), output.clone())]);
        self.mapping("outputMapping", &step.output_mapping, None, &names)
    }

    /// The user message of a step: its rendered prompt (or description, or name), followed by every mapped input that
    /// the prompt does not mention, under its name.
    pub fn prompt(
        &self,
        step: &Step,
        mapped: &Map<String, Value>,
        context: &Context<'_>,
    ) -> Result<String, ExpressionError> {
        let (text, mut prompt) = self.rendered(step, mapped, context)?;
        if mapped.is_empty() {
            return Ok(prompt);
        }
        let analysis = self.analysis(text)?;
        for (name, value) in mapped.iter().filter(|(name, _)| !analysis.reads.names.contains(name.as_str())) {
            let text = into_text(value.clone());
            prompt.truncate(prompt.trim_end().len());
            prompt.push_str("\n\n### ");
            prompt.push_str(name);
            prompt.push_str("\n\n");
            prompt.push_str(&text);
        }
        Ok(prompt)
    }

    /// The question to a person: as [`prompt`](Self::prompt), without the mapped inputs, which the page shows
    /// separately.
    pub fn question(
        &self,
        step: &Step,
        mapped: &Map<String, Value>,
        context: &Context<'_>,
    ) -> Result<String, ExpressionError> {
        self.rendered(step, mapped, context).map(|(_, question)| question)
    }

    /// The source text of the step's prompt (or description, or name), and the rendered text.
    fn rendered<'s>(
        &self,
        step: &'s Step,
        mapped: &Map<String, Value>,
        context: &Context<'_>,
    ) -> Result<(&'s str, String), ExpressionError> {
        let (field, text) = match (&step.prompt, &step.description) {
            (Some(prompt), _) => ("prompt", prompt.as_str()),
            (None, Some(description)) => ("description", description.as_str()),
            // A name is never evaluated.
            (None, None) => return Ok(("", step.name.clone())),
        };
        let analysis = self.analysis(text).map_err(|error| error.at(field))?;
        // A prompt is always text, even if it is a single expression.
        let value = self.evaluate(text, &analysis, Some(context), mapped).map_err(|error| error.at(field))?;
        Ok((text, into_text(value)))
    }

    /// The run's output: the template's expression, else the output of its only last step, else the outputs of all its
    /// last steps by name.
    pub fn run_output(
        &self,
        template: &Template,
        plan: &Plan,
        context: &Context<'_>,
    ) -> Result<Value, ExpressionError> {
        if let Some(output) = &template.output {
            return self.text_value(output, Some(context), &Map::new()).map_err(|error| error.at("output"));
        }
        let output_of = |name: &str| context.outputs.get(name).cloned().unwrap_or_default();
        let sinks = plan.sinks();
        let mut names =
            sinks.iter().filter_map(|&index| plan.steps.get(index as usize)).map(|step| &step.name);
        Ok(match (names.next(), sinks.len()) {
            (None, _) => Value::Null,
            (Some(only), 1) => output_of(only),
            (Some(first), _) => {
                std::iter::once(first).chain(names).map(|name| (name.clone(), output_of(name))).collect()
            }
        })
    }

    fn mapping(
        &self,
        field: &str,
        mapping: &Map<String, Value>,
        context: Option<&Context<'_>>,
        names: Names<'_>,
    ) -> Result<Map<String, Value>, ExpressionError> {
        let mut values = Map::with_capacity(mapping.len());
        for (name, value) in mapping {
            let value = self.inner(value, context, names).map_err(|error| {
                let path = if error.path.is_empty() { name.clone() } else { format!("{name}{}", error.path) };
                error.at(format!("{field}.{path}"))
            })?;
            values.insert(name.clone(), value);
        }
        Ok(values)
    }

    /// A value of the document in which all texts are evaluated.
    fn inner(
        &self,
        value: &Value,
        context: Option<&Context<'_>>,
        names: Names<'_>,
    ) -> Result<Value, ExpressionError> {
        match value {
            Value::String(text) => self.text_value(text, context, names),
            Value::Array(items) => items
                .iter()
                .enumerate()
                .map(|(index, item)| {
                    self.inner(item, context, names).map_err(|error| {
                        let path = format!("[{index}]{}", error.path);
                        error.at(path)
                    })
                })
                .collect(),
            Value::Object(map) => map
                .iter()
                .map(|(key, item)| match self.inner(item, context, names) {
                    Ok(value) => Ok((key.clone(), value)),
                    Err(error) => {
                        let path = format!(".{key}{}", error.path);
                        Err(error.at(path))
                    }
                })
                .collect(),
            literal => Ok(literal.clone()),
        }
    }

    fn text_value(
        &self,
        text: &str,
        context: Option<&Context<'_>>,
        names: Names<'_>,
    ) -> Result<Value, ExpressionError> {
        self.evaluate(text, &*self.analysis(text)?, context, names)
    }

    fn evaluate(
        &self,
        text: &str,
        analysis: &Analysis,
        context: Option<&Context<'_>>,
        names: Names<'_>,
    ) -> Result<Value, ExpressionError> {
        if analysis.form == Form::Literal {
            return Ok(Value::String(text.to_owned()));
        }
        if let Some(found) = analysis.path.as_deref().and_then(|path| follow(path, context, names)) {
            return Ok(found.clone());
        }
        if let Some(text) = analysis.pieces.as_deref().and_then(|pieces| join(pieces, context, names)) {
            return Ok(Value::String(text));
        }
        let (root, bytes) = hand_over(analysis, context, names);
        let largest = if analysis.grows { bytes + MAX_TEXT as u64 / 4 } else { bytes } + text.len() as u64;
        if analysis.weight > 1 && analysis.weight.saturating_mul(largest) > MAX_GROWN {
            return Err(ExpressionError::new(
                "joins or repeats texts so often that the result could be too large",
            ));
        }
        match &analysis.form {
            Form::Literal => Ok(Value::String(text.to_owned())),
            Form::Expression(range) => {
                let source = text.get(range.clone()).unwrap_or(text);
                let expression = self.env.compile_expression(source).map_err(explain)?;
                let value = expression.eval(root).map_err(|error| explain_in(source, error))?;
                if value.is_undefined() {
                    return Err(ExpressionError::new(absent(source.trim())));
                }
                serde_json::to_value(&value).map_err(|error| {
                    ExpressionError::new(if error.to_string().contains("number out of range") {
                        "gives a whole number of more than 64 bits, which would lose digits: '| string' keeps it as text"
                    } else {
                        "gives something that cannot be kept as JSON"
                    })
                })
            }
            Form::Text => {
                let known = self.env.get_template(text);
                let template = known.or_else(|_| self.env.template_from_str(text)).map_err(explain)?;
                let mut rendered = Bounded { left: MAX_TEXT, text: Vec::new() };
                let written = template.render_captured_to(root, &mut rendered as &mut dyn Write);
                written.map_err(|error| explain_in(text, error))?;
                rendered.into_string().map(Value::String).map_err(explain)
            }
        }
    }
}

/// The value at the end of a path of names, if every segment is a plain look-up.
fn follow<'v>(path: &[String], context: Option<&'v Context<'_>>, names: Names<'v>) -> Option<&'v Value> {
    let (root, rest) = path.split_first()?;
    let (start, rest) = match context {
        Some(context) if root == "context" => {
            let (key, rest) = rest.split_first()?;
            (context_value(context, key)?, rest)
        }
        _ => (names.get(root).or_else(|| item_value(context, root))?, rest),
    };
    rest.iter().try_fold(start, |value, name| value.as_object()?.get(name))
}

/// The text that the pieces form. `None` if a name cannot be resolved or the text is too long; minijinja then reports
/// the error.
fn join(pieces: &[Piece], context: Option<&Context<'_>>, names: Names<'_>) -> Option<String> {
    let mut text = String::new();
    for piece in pieces {
        match piece {
            Piece::Literal(literal) => text.push_str(literal),
            Piece::Path(path) => match follow(path, context, names)? {
                Value::String(value) if text.len() + value.len() <= MAX_TEXT => text.push_str(value),
                Value::String(_) => return None,
                other => text.push_str(&other.to_string()),
            },
        }
    }
    (text.len() <= MAX_TEXT).then_some(text)
}

fn context_value<'v>(context: &Context<'v>, key: &str) -> Option<&'v Value> {
    match key {
        "input" => Some(context.input),
        "conversation" => Some(context.conversation),
        key => context.outputs.get(key).or_else(|| context.mapped.get(key)),
    }
}

/// `item` and `index`, in the step run of a `forEach` item.
fn item_value<'v>(context: Option<&Context<'v>>, name: &str) -> Option<&'v Value> {
    let item = context?.item?;
    match name {
        "item" => Some(item.value),
        "index" => Some(item.index),
        _ => None,
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// The values that the text reads, converted for minijinja, and their approximate size in bytes.
fn hand_over(analysis: &Analysis, context: Option<&Context<'_>>, names: Names<'_>) -> (Jinja, u64) {
    let mut bytes = 0;
    let mut root = Vec::new();
    for name in &analysis.reads.names {
        if let ("context", Some(context)) = (name.as_str(), context) {
            let keys = &analysis.reads.context_keys;
            let entries = keys.iter().filter_map(|key| Some((key.as_str(), context_value(context, key)?)));
            let entries = entries.map(|(key, value)| (key, convert(value, &mut bytes)));
            root.push((name.as_str(), Jinja::from_pairs(entries)));
        } else if let Some(value) = names.get(name).or_else(|| item_value(context, name)) {
            root.push((name.as_str(), convert(value, &mut bytes)));
        }
    }
    (Jinja::from_pairs(root), bytes)
}

fn convert(value: &Value, bytes: &mut u64) -> Jinja {
    *bytes += 16;
    match value {
        Value::Null => Jinja::from(()),
        Value::Bool(value) => Jinja::from(*value),
        Value::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(number), _, _) => Jinja::from(number),
            (_, Some(number), _) => Jinja::from(number),
            (_, _, number) => Jinja::from(number.unwrap_or_default()),
        },
        Value::String(text) => {
            *bytes += text.len() as u64;
            Jinja::from(text.as_str())
        }
        Value::Array(items) => Jinja::from(items.iter().map(|item| convert(item, bytes)).collect::<Vec<_>>()),
        Value::Object(map) => Jinja::from_pairs(map.iter().map(|(key, value)| {
            *bytes += key.len() as u64;
            (key.as_str(), convert(value, bytes))
        })),
    }
}

fn into_text(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}
