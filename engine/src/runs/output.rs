//! What a step's answer becomes. Without more it is text. With an `outputSchema` it is JSON that meets the schema, or a
//! failure: the model is told what was wrong when it is asked again. An aggregate answers with one call of `final`, a
//! step that writes files with files and edits; both are schemas of their own.
//!
//! The provider's structured mode is used where it has one, and trusted nowhere: some leave out what they do not
//! support, and some models answer in prose all the same.

use super::attempt::Answer;
use crate::{
    Error, Result,
    models::{ChatMessage, MessageAuthor, ModelRequest},
};
use domain::{
    error::ErrorClass,
    event::Failure,
    file::FileChange,
    problem::Problem,
    schema::Schema,
    template::{Step, Template, Uses},
};
use serde_json::{Value, json};

/// How many of an answer's problems the model is told.
const TOLD: usize = 10;

/// By which mode a step may write files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileMode {
    /// Whole files, and edits to those that are there.
    Edits,
    /// Whole files: none are there yet.
    Whole,
    /// A few whole files with simple names: a small model is kept to them by the grammar that is made of the schema.
    WholeAndFew,
}

impl FileMode {
    fn words(self) -> &'static str {
        match self {
            Self::Edits => {
                "Give each file that is new, or that changes all over, with its whole `content`. Change a file that is \
                 there with `edits`: each replaces the one place where `search` stands, word for word, by `replace`. Say \
                 in `summary`, in a sentence or two, what you did.\n\n"
            }
            Self::Whole | Self::WholeAndFew => {
                "Give each file with its whole `content`. Say in `summary`, in a sentence or two, what you did.\n\n"
            }
        }
    }
}

/// Names of files that a small model may choose from.
const SIMPLE_PATH: &str = "^[a-z][a-z0-9_-]{0,30}[.][a-z]{2,5}$";

/// The form that a step's answers have.
pub(super) struct OutputForm {
    kind: Kind,
    /// None: text as it comes.
    schema: Option<OutputSchema>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The answer is the output.
    Plain,
    /// The answer is a call of `final`; its argument `text`, or all of them under an `outputSchema`, is the output.
    Final { typed: bool },
    /// The answer holds files; its summary is the output.
    Files,
}

struct OutputSchema {
    /// What is asked for.
    schema: Value,
    /// What is taken.
    judge: Schema,
}

/// What a good answer holds.
#[derive(Debug)]
pub(super) struct Output {
    pub value: Value,
    /// What it is stored as.
    pub text: String,
    /// `text` is JSON.
    pub json: bool,
    pub changes: Vec<FileChange>,
}

impl OutputForm {
    /// One per step of the template, in its order.
    pub fn all(template: &Template) -> Result<Vec<Self>> {
        template.steps.iter().map(Self::of).collect()
    }

    fn of(step: &Step) -> Result<Self> {
        let (kind, schema) = if step.writes_files() {
            let judge = Schema::new(&files_schema(&["path"])).map_err(Error::internal)?;
            (Kind::Files, Some(OutputSchema { schema: files_schema(&["path", "content", "edits"]), judge }))
        } else if step.uses == Some(Uses::Aggregate) {
            let typed = step.output_schema.is_some();
            let schema = OutputSchema::new(final_schema(step.output_schema.as_ref()))?;
            (Kind::Final { typed }, Some(schema))
        } else {
            (Kind::Plain, step.output_schema.clone().map(OutputSchema::new).transpose()?)
        };
        Ok(Self { kind, schema })
    }

    pub fn writes_files(&self) -> bool {
        self.kind == Kind::Files
    }

    /// Whether outputs are values of their own type, rather than text.
    pub fn is_typed(&self) -> bool {
        match self.kind {
            Kind::Plain => self.schema.is_some(),
            Kind::Final { typed } => typed,
            Kind::Files => false,
        }
    }

    /// Adds to a step's request what its answer must look like, and why the last one was not good enough.
    pub fn ask(&self, request: &mut ModelRequest, last: Option<&Failure>, mode: FileMode) {
        let Some(schema) = &self.schema else { return };
        let mut asked = schema.schema.clone();
        let mut wish = match self.kind {
            Kind::Plain => String::new(),
            Kind::Final { .. } => "Call the function `final` once, with what you conclude. ".to_owned(),
            Kind::Files => {
                let file = &mut asked["properties"]["files"]["items"];
                if mode == FileMode::Whole || mode == FileMode::WholeAndFew {
                    file["properties"]["content"] = json!({"type": "string", "minLength": 1});
                    file["required"] = json!(["path", "content"]);
                    if let Some(properties) = file["properties"].as_object_mut() {
                        properties.remove("edits");
                    }
                }
                if mode == FileMode::WholeAndFew {
                    file["properties"]["path"]["pattern"] = json!(SIMPLE_PATH);
                    asked["properties"]["files"]["maxItems"] = json!(3);
                }
                mode.words().to_owned()
            }
        };
        wish.push_str(&format!(
            "Answer with JSON alone: no other words, no code fence. It must meet this JSON Schema:\n{asked}"
        ));
        let refused = last.filter(|failure| {
            matches!(failure.class, ErrorClass::InvalidOutput | ErrorClass::Truncated | ErrorClass::Empty)
        });
        if let Some(failure) = refused {
            wish.push_str(&format!(
                "\n\nYour last answer was refused: {}. Do better this time.",
                failure.message
            ));
        }
        match request.messages.last_mut().filter(|message| message.author == MessageAuthor::User) {
            Some(message) => message.text = format!("{}\n\n{wish}", message.text),
            None => request.messages.push(ChatMessage::user(wish)),
        }
        request.schema = Some(asked);
    }

    /// The output that an answer gives.
    pub fn read(&self, answer: &Answer) -> Result<Output, Failure> {
        let Some(schema) = &self.schema else {
            let (value, text) = (Value::String(answer.text.clone()), answer.text.clone());
            return Ok(Output { value, text, json: false, changes: Vec::new() });
        };
        let mut value = schema.read(answer)?;
        match self.kind {
            Kind::Plain => Ok(Output::typed(value)),
            Kind::Final { typed: true } => Ok(Output::typed(value["args"].take())),
            Kind::Final { typed: false } => Ok(Output::text(value["args"]["text"].take())),
            Kind::Files => {
                let changes = serde_json::from_value(value["files"].take());
                let changes = changes.map_err(|error| {
                    Failure::new(ErrorClass::InvalidOutput, format!("the answer's files: {error}"))
                })?;
                Ok(Output { changes, ..Output::text(value["summary"].take()) })
            }
        }
    }

    /// What is wrong with a value that a person gave in place of an answer.
    pub fn problems(&self, value: &Value) -> Vec<Problem> {
        match &self.schema {
            Some(schema) if self.kind == Kind::Plain => schema.judge.problems(value, "output"),
            _ => Vec::new(),
        }
    }

    /// The output that was stored as this text.
    pub fn of_stored(&self, json: bool, text: String) -> Result<Value> {
        if !json && !self.is_typed() {
            return Ok(text.into());
        }
        match serde_json::from_str(&text) {
            Ok(value) => Ok(value),
            Err(error) if json => Err(Error::internal(error)),
            Err(_) => Ok(text.into()),
        }
    }

    /// The output that a value is which no model gave: a person's, a child run's, another run's.
    pub fn of_value(&self, value: Value) -> Output {
        if self.is_typed() || !value.is_string() { Output::typed(value) } else { Output::text(value) }
    }
}

impl Output {
    fn typed(value: Value) -> Self {
        let text = value.to_string();
        Self { value, text, json: true, changes: Vec::new() }
    }

    fn text(value: Value) -> Self {
        let text = value.as_str().unwrap_or_default().to_owned();
        Self { value, text, json: false, changes: Vec::new() }
    }
}

impl OutputSchema {
    fn new(schema: Value) -> Result<Self> {
        let judge = Schema::new(&schema).map_err(Error::internal)?;
        Ok(Self { schema, judge })
    }

    fn read(&self, answer: &Answer) -> Result<Value, Failure> {
        if answer.cut {
            let message = "the answer reached its token limit before its JSON was complete";
            return Err(Failure::new(ErrorClass::Truncated, message));
        }
        let value = json_of(&answer.text).map_err(|error| {
            Failure::new(ErrorClass::InvalidOutput, format!("the answer is not JSON: {error}"))
        })?;
        let problems = self.judge.problems(&value, "output");
        if problems.is_empty() {
            return Ok(value);
        }
        let told: Vec<_> = problems.iter().take(TOLD).map(Problem::to_string).collect();
        let more = problems.len().saturating_sub(TOLD);
        let more = if more > 0 { format!("; and {more} more problems") } else { String::new() };
        let message = format!("the answer does not meet its schema: {}{more}", told.join("; "));
        Err(Failure::new(ErrorClass::InvalidOutput, message))
    }
}

/// One strict call of `final`.
fn final_schema(args: Option<&Value>) -> Value {
    let text = json!({
        "type": "object",
        "properties": {"text": {"type": "string", "minLength": 1}},
        "required": ["text"],
        "additionalProperties": false,
    });
    json!({
        "type": "object",
        "properties": {"function": {"type": "string", "enum": ["final"]}, "args": args.unwrap_or(&text)},
        "required": ["function", "args"],
        "additionalProperties": false,
    })
}

/// What is asked for names every field, as strict modes insist; what is taken may leave out those that are null.
fn files_schema(required: &[&str]) -> Value {
    let edit = json!({
        "type": "object",
        "properties": {"search": {"type": "string"}, "replace": {"type": "string"}},
        "required": ["search", "replace"],
        "additionalProperties": false,
    });
    let file = json!({
        "type": "object",
        "properties": {
            "path": {"type": "string", "description": "relative, such as src/main.js"},
            "content": {"type": ["string", "null"]},
            "edits": {"type": ["array", "null"], "items": edit},
        },
        "required": required,
        "additionalProperties": false,
    });
    json!({
        "type": "object",
        "properties": {
            "files": {"type": "array", "items": file, "minItems": 1},
            "summary": {"type": "string"},
        },
        "required": ["files", "summary"],
        "additionalProperties": false,
    })
}

/// The whole answer, or what stands in its one code fence.
fn json_of(text: &str) -> serde_json::Result<Value> {
    let text = text.trim();
    serde_json::from_str(text).or_else(|error| {
        let Some((_, rest)) = text.split_once("```") else { return Err(error) };
        let fenced = rest.split_once('\n').and_then(|(_, body)| body.split_once("```"));
        match fenced {
            Some((body, after)) if !after.contains("```") => serde_json::from_str(body.trim()),
            _ => Err(error),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::usage::Usage;

    fn form(step: Value) -> OutputForm {
        OutputForm::of(&serde_json::from_value(step).unwrap()).unwrap()
    }

    fn schema() -> OutputForm {
        form(json!({"name": "Score", "outputSchema": {
            "type": "object",
            "required": ["score"],
            "properties": {"score": {"type": "integer", "minimum": 0}},
        }}))
    }

    fn answer(text: &str, cut: bool) -> Answer {
        Answer { text: text.to_owned(), usage: Usage::default(), cut }
    }

    #[test]
    fn json_is_taken_alone_or_from_its_one_fence() {
        for text in ["{\"score\": 7}", " \n{\"score\":7}\n", "Sure!\n```json\n{\"score\": 7}\n```\nDone."] {
            let output = schema().read(&answer(text, false)).unwrap();
            assert_eq!(output.value, json!({"score": 7}), "{text}");
            assert_eq!(schema().of_stored(output.json, output.text).unwrap(), output.value);
        }
    }

    #[test]
    fn what_is_wrong_with_an_answer_is_told_with_its_place() {
        let twice = "```\n{\"score\": 7}\n```\n```\n{\"score\": 8}\n```";
        for (text, cut, class, part) in [
            ("seven", false, ErrorClass::InvalidOutput, "is not JSON"),
            (twice, false, ErrorClass::InvalidOutput, "is not JSON"),
            ("{\"score\": -1}", false, ErrorClass::InvalidOutput, "output.score"),
            ("{}", false, ErrorClass::InvalidOutput, "score"),
            ("{\"score\": 7", true, ErrorClass::Truncated, "token limit"),
        ] {
            let failure = schema().read(&answer(text, cut)).unwrap_err();
            assert_eq!(failure.class, class, "{text}");
            assert!(failure.message.contains(part), "{text}: {}", failure.message);
        }
    }

    #[test]
    fn the_next_attempt_is_told_why_the_last_was_refused() {
        let mut request = ModelRequest::new("m", "How good is it?");
        schema().ask(
            &mut request,
            Some(&Failure::new(ErrorClass::InvalidOutput, "output.score: must be positive")),
            FileMode::Edits,
        );
        let text = &request.messages[0].text;
        assert!(text.starts_with("How good is it?\n\nAnswer with JSON alone"), "{text}");
        assert!(text.contains("refused: output.score: must be positive."), "{text}");
        let mut request = ModelRequest::new("m", "How good is it?");
        schema().ask(&mut request, Some(&Failure::new(ErrorClass::RateLimit, "later")), FileMode::Edits);
        assert!(!request.messages[0].text.contains("refused"), "the model had no part in it");
    }

    #[test]
    fn an_aggregate_calls_final_and_nothing_else() {
        let plain = form(json!({"name": "A", "uses": "aggregate"}));
        let output = plain.read(&answer(r#"{"function": "final", "args": {"text": "so"}}"#, false)).unwrap();
        assert_eq!((output.value, output.text.as_str(), output.json), (json!("so"), "so", false));
        let typed = form(json!({"name": "A", "uses": "aggregate", "outputSchema": {"type": "object"}}));
        let output = typed.read(&answer(r#"{"function": "final", "args": {"n": 1}}"#, false)).unwrap();
        assert_eq!((output.value, output.text.as_str(), output.json), (json!({"n": 1}), "{\"n\":1}", true));
        for bad in [
            r#"{"function": "search", "args": {"text": "so"}}"#,
            r#"{"function": "final", "args": {"text": ""}}"#,
            r#"{"function": "final"}"#,
            "so",
        ] {
            assert_eq!(
                plain.read(&answer(bad, false)).unwrap_err().class,
                ErrorClass::InvalidOutput,
                "{bad}"
            );
        }
    }

    #[test]
    fn a_step_that_writes_files_gives_them_with_a_summary() {
        let files = form(json!({"name": "F", "with": {"files": true}}));
        let text = r#"{"files": [{"path": "a", "content": "x", "edits": null}], "summary": "Made a."}"#;
        let shorter = r#"{"files": [{"path": "a", "content": "x"}], "summary": "Made a."}"#;
        for text in [text, shorter] {
            let output = files.read(&answer(text, false)).unwrap();
            assert_eq!((output.text.as_str(), output.json, output.changes.len()), ("Made a.", false, 1));
        }
        assert!(files.read(&answer(r#"{"files": [], "summary": "Nothing."}"#, false)).is_err());
    }

    #[test]
    fn who_cannot_edit_is_not_asked_for_edits() {
        let files = form(json!({"name": "F", "with": {"files": true}}));
        for (mode, edits, pattern) in [
            (FileMode::Edits, true, false),
            (FileMode::Whole, false, false),
            (FileMode::WholeAndFew, false, true),
        ] {
            let mut request = ModelRequest::new("m", "Build.");
            files.ask(&mut request, None, mode);
            let file = &request.schema.as_ref().unwrap()["properties"]["files"]["items"];
            assert_eq!(file["properties"].get("edits").is_some(), edits, "{mode:?}");
            assert_eq!(file["required"].as_array().unwrap().contains(&json!("edits")), edits, "{mode:?}");
            assert_eq!(file["properties"]["path"].get("pattern").is_some(), pattern, "{mode:?}");
            assert_eq!(request.messages[0].text.contains("`edits`"), edits, "{mode:?}");
        }
    }
}
