//! Compilation of a template to its plan: checks the flow, and every expression against it.

use std::collections::{BTreeSet, HashMap, HashSet};

use serde_json::Value;

use super::document::{Step, StepType, Template, Uses};
use super::flow::{self, Flow, RESERVED_NAMES, no_step};
use super::place::{Path, Problems};
use crate::expression::{self, ExpressionError, Reads};
use crate::plan::{Body, Plan, PlannedStep};
use crate::problem::{Problem, shorten};
use crate::schema::{self, Shelf};

/// Builds the plan, or returns all problems: in the flow (cycles, unknown and repeated names), in expressions (syntax
/// errors and undefined names) and in schemas.
pub fn compile(template: &Template) -> Result<Plan, Vec<Problem>> {
    compile_with(template, &Shelf::default())
}

/// As [`compile`], but the patterns of schemas are compiled one document at a time among all that share the shelf.
pub fn compile_with(template: &Template, shelf: &Shelf) -> Result<Plan, Vec<Problem>> {
    let mut problems = Problems::default();
    match plan(template, shelf, &mut problems) {
        Some(plan) if problems.is_empty() => Ok(plan),
        _ => Err(problems.into_vec()),
    }
}

/// The plan of a template that was checked before. Only the flow is checked again.
///
/// # Errors
/// The problems of a flow that today's rules refuse.
pub fn outline(template: &Template) -> Result<Plan, Vec<Problem>> {
    let mut problems = Problems::default();
    match flow::flow(template, &mut problems) {
        Some(flow) => Ok(planned(template, flow)),
        None => Err(problems.into_vec()),
    }
}

/// The plan, where the flow is sound; there may be problems all the same.
pub(crate) fn plan(template: &Template, shelf: &Shelf, problems: &mut Problems<'_>) -> Option<Plan> {
    let flow = flow::flow(template, problems);
    let root = Path::Root;
    let mut patterns = shelf.pattern_budget();
    if let Some(input) = &template.input {
        schema::check_input(input, &root.key("input"), &mut patterns, problems);
    }
    let scope = Scope::of(template, flow.as_ref());
    let steps = root.key("steps");
    for (index, step) in template.steps.iter().enumerate() {
        let path = steps.index(index);
        check_step(step, index, &scope, &path, problems);
        if let Some(output_schema) = &step.output_schema {
            schema::check_schema(output_schema, &path.key("outputSchema"), &mut patterns, problems);
        }
    }
    if let Some(output) = &template.output {
        let path = root.key("output");
        if let Some(reads) = reading(expression::reads(output), &path, problems) {
            scope.check(&reads, Reader::Run, &path, problems);
            check_names(&reads, &["context"], "the run's output", &path, problems);
        }
    }
    flow.map(|flow| planned(template, flow))
}

fn planned(template: &Template, flow: Flow) -> Plan {
    let planned = template.steps.iter().zip(flow.depends_on).zip(flow.wave);
    Plan { steps: planned.map(|((step, depends_on), wave)| planned_step(step, depends_on, wave)).collect() }
}

fn planned_step(step: &Step, depends_on: Vec<u32>, wave: u32) -> PlannedStep {
    PlannedStep {
        name: step.name.clone(),
        body: match step.uses {
            None => Body::Prompt,
            Some(Uses::Component(_)) => Body::Component,
            Some(Uses::Tool(_)) => Body::Tool,
            Some(Uses::Template(_)) => Body::Template,
            Some(Uses::Agent) => Body::Agent,
            Some(Uses::Approval) => Body::Approval,
            Some(Uses::Aggregate) => Body::Aggregate,
            Some(Uses::Decompose) => Body::Decompose,
        },
        depends_on,
        condition: step.condition.is_some(),
        for_each: step.for_each.is_some(),
        max_parallel: step.max_parallel,
        max_retries: step.max_retries,
        timeout_ms: step.timeout,
        on_failure: step.on_failure,
        idempotent: step.idempotent,
        wave,
        group: step.parallel_group.clone(),
    }
}

/// The reader of an expression: a step sees the steps upstream of it, the run's output sees all steps.
#[derive(Clone, Copy)]
enum Reader {
    Step(usize),
    Run,
}

/// The contents of `context` for each reader.
struct Scope<'t> {
    template: &'t Template,
    positions: HashMap<&'t str, usize>,
    /// The steps that write each key of an `outputMapping`.
    writers: HashMap<&'t str, Vec<usize>>,
    /// The ancestors of each step as a bit set. `None` if the flow is invalid; then no problem mentions "upstream".
    upstream: Option<Vec<Vec<u64>>>,
    input_fields: Option<InputFields<'t>>,
}

/// The fields that the input's schema names.
struct InputFields<'t> {
    names: HashSet<&'t str>,
    /// Whether the schema allows no other fields. If so, reading another field is an error; otherwise it is a probable
    /// mistake.
    closed: bool,
}

impl<'t> InputFields<'t> {
    /// `None` if the schema allows fields that it does not name.
    fn of(schema: &'t Value) -> Option<Self> {
        // Combined and referenced schemas may add fields.
        let plain = ["patternProperties", "allOf", "anyOf", "oneOf", "$ref"]
            .iter()
            .all(|word| schema.get(word).is_none());
        let fields = schema.get("properties").and_then(Value::as_object)?;
        let names: HashSet<_> = fields.keys().map(String::as_str).collect();
        let closed = schema.get("additionalProperties") == Some(&Value::Bool(false));
        // A schema with keywords for other fields expects some.
        let expects_others =
            ["additionalProperties", "if", "dependentSchemas"].iter().any(|word| schema.get(word).is_some());
        (plain && (closed || !expects_others && !names.is_empty())).then_some(Self { names, closed })
    }
}

impl<'t> Scope<'t> {
    fn of(template: &'t Template, flow: Option<&Flow>) -> Self {
        let positions = template
            .steps
            .iter()
            .enumerate()
            .rev()
            .map(|(index, step)| (step.name.as_str(), index))
            .collect();
        let mut writers: HashMap<_, Vec<_>> = HashMap::new();
        for (index, step) in template.steps.iter().enumerate() {
            for key in step.output_mapping.keys() {
                writers.entry(key.as_str()).or_default().push(index);
            }
        }
        Self {
            template,
            positions,
            writers,
            upstream: flow.map(ancestors),
            input_fields: template.input.as_ref().and_then(InputFields::of),
        }
    }

    fn is_upstream(&self, step: usize, of: Reader) -> bool {
        match (of, &self.upstream) {
            (Reader::Step(reader), Some(upstream)) => upstream
                .get(reader)
                .and_then(|bits| bits.get(step / 64))
                .is_some_and(|word| word >> (step % 64) & 1 == 1),
            _ => true,
        }
    }

    fn check(&self, reads: &Reads, reader: Reader, path: &Path<'_>, problems: &mut Problems<'_>) {
        for key in &reads.context_keys {
            if RESERVED_NAMES.contains(&key.as_str()) {
                continue;
            }
            let written_upstream = self
                .writers
                .get(key.as_str())
                .is_some_and(|steps| steps.iter().any(|&step| self.is_upstream(step, reader)));
            let step = self.positions.get(key.as_str()).copied();
            if written_upstream || step.is_some_and(|step| self.is_upstream(step, reader)) {
                continue;
            }
            let shown = shorten(key, 80);
            let message = match (step, reader) {
                (Some(step), Reader::Step(own)) if step == own => {
                    format!("'{shown}' is this step itself: its output is not there before it has run")
                }
                (Some(_), _) => format!(
                    "'{shown}' does not run before this step, so its output cannot be read here: add it to dependsOn, \
                     or move this step behind it"
                ),
                (None, _) if self.writers.contains_key(key.as_str()) => format!(
                    "'{shown}' is written by a step that does not run before this one: add that step to dependsOn"
                ),
                (None, _) => {
                    let names = self.template.steps.iter().map(|step| step.name.as_str());
                    let near =
                        problems.nearest(key, names.chain(self.writers.keys().copied()).chain(["input"]));
                    no_step(key, near)
                }
            };
            problems.add(path, format!("reads context['{shown}'], but {message}"));
        }
        if let Some(fields) = &self.input_fields {
            for field in reads.input_fields.iter().filter(|field| !fields.names.contains(field.as_str())) {
                let unheard = !fields.closed && problems.enough_hints();
                let names = fields.names.iter().copied();
                let near = if unheard { None } else { problems.nearest(field, names) };
                let meant = |before: &str, after: &str| {
                    near.map_or_else(String::new, |near| format!("{before}did you mean '{near}'?{after}"))
                };
                let message = format!("the input has no field '{}'", shorten(field, 80));
                if fields.closed {
                    problems.add(path, message + &meant("; ", ""));
                } else {
                    let way_out = ": declare it in the input, or check the name";
                    problems.hint(path, message + way_out + &meant(" (", ")"));
                }
            }
        }
    }
}

fn ancestors(flow: &Flow) -> Vec<Vec<u64>> {
    let words = flow.depends_on.len().div_ceil(64);
    let mut upstream: Vec<Vec<u64>> = vec![Vec::new(); flow.depends_on.len()];
    for &index in &flow.order {
        let mut bits = vec![0u64; words];
        for &before in &flow.depends_on[index as usize] {
            let before = before as usize;
            bits[before / 64] |= 1 << (before % 64);
            for (word, more) in bits.iter_mut().zip(&upstream[before]) {
                *word |= more;
            }
        }
        upstream[index as usize] = bits;
    }
    upstream
}

fn check_step(step: &Step, index: usize, scope: &Scope<'_>, path: &Path<'_>, problems: &mut Problems<'_>) {
    let reader = Reader::Step(index);
    let item: &[&str] = if step.for_each.is_some() { &["item", "index"] } else { &[] };
    let sees =
        |more: &[&'static str]| -> Vec<&str> { more.iter().copied().chain(item.iter().copied()).collect() };

    if step.step_type == Some(StepType::Conditional) && step.condition.is_none() {
        problems.add(path, "a conditional step needs a 'condition'");
    }
    for (field, text, names) in
        [("condition", &step.condition, vec!["context"]), ("forEach", &step.for_each, vec!["context"])]
    {
        let Some(text) = text else { continue };
        let path = path.key(field);
        if let Some(reads) = reading(expression::reads_bare(text), &path, problems) {
            scope.check(&reads, reader, &path, problems);
            check_names(&reads, &names, &format!("'{field}'"), &path, problems);
        }
    }

    let mapping = path.key("inputMapping");
    for (name, value) in &step.input_mapping {
        let path = mapping.key(name);
        if ["context", "item", "index", "output"].contains(&name.as_str()) {
            problems.add(&path, format!("'{name}' has its own meaning in a prompt: choose another name"));
        }
        check_texts(value, reader, scope, &sees(&["context"]), "an input mapping", &path, problems);
    }
    if let Some(with) = &step.with {
        let arguments = path.key("with");
        for (name, value) in with {
            check_texts(value, reader, scope, &sees(&["context"]), "'with'", &arguments.key(name), problems);
        }
    }
    check_arguments(step, path, problems);
    check_prompt(step, reader, scope, &sees(&["context"]), path, problems);
    check_task(step, path, problems);

    let mapping = path.key("outputMapping");
    for (key, value) in &step.output_mapping {
        let path = mapping.key(key);
        if RESERVED_NAMES.contains(&key.as_str()) {
            problems.add(
                &path,
                format!("'{key}' is taken: context.{key} has its own meaning; choose another key"),
            );
        } else if scope.positions.contains_key(key.as_str()) {
            let shown = shorten(key, 80);
            problems.add(
                &path,
                format!("'{shown}' is a step: context['{shown}'] is that step's output; choose another key"),
            );
        }
        let Value::String(text) = value else { continue };
        if let Some(reads) = reading(expression::reads(text), &path, problems) {
            check_names(&reads, &["output"], "an output mapping", &path, problems);
        }
    }
}

/// Checks the arguments of bodies with fixed ones. The arguments of a child run are its input and may be anything.
fn check_arguments(step: &Step, path: &Path<'_>, problems: &mut Problems<'_>) {
    let (body, known): (&str, &[&str]) = match &step.uses {
        None => ("a prompt", &["files"]),
        Some(Uses::Aggregate) => ("aggregate", &["candidates"]),
        Some(Uses::Approval) => ("approval", &["onTimeout"]),
        Some(_) => return,
    };
    let path = path.key("with");
    for (name, value) in step.with.iter().flatten() {
        let path = path.key(name);
        if !known.contains(&name.as_str()) {
            let (shown, known) = (shorten(name, 80), known.join(", "));
            problems.add(&path, format!("{body} has no argument '{shown}'; it takes {known}"));
        } else if name == "files" && !value.is_boolean() {
            problems.add(&path, "'files' is true or false");
        } else if name == "onTimeout" && !matches!(value.as_str(), Some("approve" | "reject")) {
            problems.add(&path, "'onTimeout' is approve or reject");
        }
    }
    if step.writes_files() && step.output_schema.is_some() {
        problems.add(&path, "a step that writes files has an output of its own: leave 'outputSchema' out");
    }
}

/// Checks the text that is rendered as the step's prompt, under its field: the prompt, else the description.
fn check_prompt(
    step: &Step,
    reader: Reader,
    scope: &Scope<'_>,
    sees: &[&str],
    path: &Path<'_>,
    problems: &mut Problems<'_>,
) {
    let (field, text) = match (&step.prompt, &step.description) {
        (Some(prompt), _) => ("prompt", prompt),
        (None, Some(description)) if step.uses.is_none() => ("description", description),
        _ => return,
    };
    let path = path.key(field);
    if let Some(reads) = reading(expression::reads(text), &path, problems) {
        scope.check(&reads, reader, &path, problems);
        let mapped = step.input_mapping.keys().map(String::as_str);
        let sees: Vec<&str> = sees.iter().copied().chain(mapped).collect();
        check_names(&reads, &sees, "a prompt", &path, problems);
    }
}

/// Checks that a step that calls a model has a task. An aggregate without its own text uses the built-in task.
fn check_task(step: &Step, path: &Path<'_>, problems: &mut Problems<'_>) {
    let is_blank = |text: &String| text.trim().is_empty();
    let (field, message) = match (&step.uses, &step.prompt, &step.description) {
        (None | Some(Uses::Aggregate), Some(prompt), described) if is_blank(prompt) => {
            let message = match described {
                Some(text) if !is_blank(text) => {
                    "the prompt is empty, and goes before the description: write what the model is to do, or leave \
                     'prompt' out"
                }
                _ => "the prompt is empty: write what the model is to do",
            };
            ("prompt", message)
        }
        (None | Some(Uses::Aggregate), None, Some(description)) if is_blank(description) => {
            ("description", "the description is empty, and there is no prompt: write what the model is to do")
        }
        (None, None, None) => (
            "prompt",
            "there is no prompt, so the step's name is all that the model is asked: write what it is to do",
        ),
        _ => return,
    };
    problems.hint(&path.key(field), message);
}

/// Checks every text in a value: lists and objects may contain expressions at any depth.
fn check_texts(
    value: &Value,
    reader: Reader,
    scope: &Scope<'_>,
    sees: &[&str],
    owner: &str,
    path: &Path<'_>,
    problems: &mut Problems<'_>,
) {
    match value {
        Value::String(text) => {
            if let Some(reads) = reading(expression::reads(text), path, problems) {
                scope.check(&reads, reader, path, problems);
                check_names(&reads, sees, owner, path, problems);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                check_texts(item, reader, scope, sees, owner, &path.index(index), problems);
            }
        }
        Value::Object(map) => {
            for (key, item) in map {
                check_texts(item, reader, scope, sees, owner, &path.key(key), problems);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn check_names(reads: &Reads, sees: &[&str], owner: &str, path: &Path<'_>, problems: &mut Problems<'_>) {
    let unknown: BTreeSet<&str> =
        reads.names.iter().map(String::as_str).filter(|name| !sees.contains(name)).collect();
    for name in unknown {
        let shown = shorten(name, 80);
        let seen = sees.iter().take(20).map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", ");
        let message = match name {
            "input" | "conversation" if sees.contains(&"context") => {
                format!("there is no name '{name}' here: write context.{name}")
            }
            "item" | "index" => format!("'{name}' is there only in a step with forEach; {owner} sees {seen}"),
            _ => match problems.nearest(name, sees.iter().copied()) {
                Some(near) => format!("there is no name '{shown}' here; did you mean '{near}'?"),
                None => format!("there is no name '{shown}' here: {owner} sees {seen}"),
            },
        };
        problems.add(path, message);
    }
}

fn reading(
    reads: Result<Reads, ExpressionError>,
    path: &Path<'_>,
    problems: &mut Problems<'_>,
) -> Option<Reads> {
    match reads {
        Ok(reads) => Some(reads),
        Err(error) => {
            problems.add_in_text(path, error.line, error.message);
            None
        }
    }
}
