//! How a step's answer becomes its output. By default the output is text. With an `outputSchema` it is JSON that meets
//! the schema; otherwise the attempt fails, and the retry tells the model what was wrong. An aggregate answers with one
//! call of `final`, and a step that writes files answers with files and edits; both have built-in schemas.
//!
//! The provider's structured mode is used if it has one, but never trusted: some providers ignore what they do not
//! support, and some models answer in prose anyway.

use super::attempt::Answer;
use crate::{
    Error, Result, fence,
    models::{ChatMessage, MessageAuthor, ModelRequest},
};
use domain::{
    error::ErrorClass,
    event::Failure,
    file::FileChange,
    json::{self, ReadError},
    problem::Problem,
    schema::{Schema, Shelf},
    template::{Step, Template, Uses},
};
use serde_json::{Value, json};
use std::sync::Arc;

/// How many problems of an answer the model is told.
const TOLD: usize = 10;

/// How a step may write files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileMode {
    /// Complete files, and edits of existing ones.
    Edits,
    /// Complete files only: none exist yet.
    Whole,
    /// A few complete files with simple names. The grammar made of the schema restricts a small model to these.
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

/// The file names that a small model may use.
const SIMPLE_PATH: &str = "^[a-z][a-z0-9_-]{0,30}[.][a-z]{2,5}$";

/// The form of a step's answers.
pub(super) struct OutputForm {
    kind: Kind,
    /// None: plain text.
    schema: Option<OutputSchema>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The answer is the output.
    Plain,
    /// The answer is a call of `final`; the output is its argument `text`, or all arguments if the step has an
    /// `outputSchema`.
    Final { typed: bool },
    /// The answer holds files; its summary is the output.
    Files,
}

struct OutputSchema {
    /// The schema that the model is given.
    schema: Value,
    /// The schema that answers must meet. None: today's rules refuse the stored schema, so answers are not checked.
    judge: Option<Schema>,
}

/// The content of a valid answer.
#[derive(Debug)]
pub(super) struct Output {
    pub value: Value,
    /// The stored form.
    pub text: String,
    /// Whether `text` is JSON.
    pub json: bool,
    pub changes: Vec<FileChange>,
}

impl OutputForm {
    /// One per step of the template, in order.
    pub fn all(template: &Template, shelf: &Arc<Shelf>) -> Result<Vec<Self>> {
        let own = |schema| OutputSchema::new(schema, shelf);
        template.steps.iter().map(|step| Self::of(step, own)).collect()
    }

    /// Like [`all`](Self::all), for a template that was stored under other rules: where today's rules refuse a step's
    /// schema, any JSON is accepted.
    pub fn all_stored(template: &Template, shelf: &Arc<Shelf>) -> Result<Vec<Self>> {
        let own = |schema| Ok(OutputSchema::stored(schema, shelf));
        template.steps.iter().map(|step| Self::of(step, own)).collect()
    }

    fn of(step: &Step, own: impl FnOnce(Value) -> Result<OutputSchema>) -> Result<Self> {
        let (kind, schema) = if step.writes_files() {
            let judge = Schema::new(&files_schema(&["path"])).map_err(Error::internal)?;
            let schema = files_schema(&["path", "content", "edits"]);
            (Kind::Files, Some(OutputSchema { schema, judge: Some(judge) }))
        } else if step.uses == Some(Uses::Aggregate) {
            let typed = step.output_schema.is_some();
            (Kind::Final { typed }, Some(own(final_schema(step.output_schema.as_ref()))?))
        } else {
            (Kind::Plain, step.output_schema.clone().map(own).transpose()?)
        };
        Ok(Self { kind, schema })
    }

    pub fn writes_files(&self) -> bool {
        self.kind == Kind::Files
    }

    /// Whether outputs are typed values rather than text.
    pub fn is_typed(&self) -> bool {
        match self.kind {
            Kind::Plain => self.schema.is_some(),
            Kind::Final { typed } => typed,
            Kind::Files => false,
        }
    }

    /// Adds to a step's request the required form of the answer, and the reason why the last answer was rejected.
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

    /// Reads the output from an answer.
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

    /// Whether reading even a short answer may take long.
    pub fn is_slow(&self) -> bool {
        self.schema.as_ref().is_some_and(|schema| schema.judge.as_ref().is_some_and(Schema::is_slow))
    }

    /// The problems of a value that a person gave instead of an answer.
    pub fn problems(&self, value: &Value) -> Vec<Problem> {
        match &self.schema {
            Some(schema) if self.kind == Kind::Plain => schema.problems(value),
            _ => Vec::new(),
        }
    }

    /// The output that was stored as this text.
    pub fn of_stored(&self, is_json: bool, text: String) -> Result<Value> {
        if !is_json && !self.is_typed() {
            return Ok(text.into());
        }
        // Under another version of the template the text may be JSON that no value represents exactly.
        match json::read(text.as_bytes(), "") {
            Ok(value) => Ok(value),
            Err(error) if is_json => Err(Error::internal(error)),
            Err(_) => Ok(text.into()),
        }
    }

    /// The output for a value that comes from a person, a child run or another run instead of a model.
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
    fn new(schema: Value, shelf: &Arc<Shelf>) -> Result<Self> {
        let judge = Some(Schema::shelved(&schema, shelf).map_err(Error::internal)?);
        Ok(Self { schema, judge })
    }

    fn stored(schema: Value, shelf: &Arc<Shelf>) -> Self {
        let judge = Schema::shelved(&schema, shelf)
            .inspect_err(|error| tracing::warn!(%error, "an output's schema is not valid any more"))
            .ok();
        Self { schema, judge }
    }

    fn problems(&self, value: &Value) -> Vec<Problem> {
        self.judge.as_ref().map_or_else(Vec::new, |judge| judge.problems(value, "output"))
    }

    fn read(&self, answer: &Answer) -> Result<Value, Failure> {
        if answer.end.cut {
            let message = "the answer reached its token limit before its JSON was complete";
            return Err(Failure::new(ErrorClass::Truncated, message));
        }
        let value = json_of(&answer.text).map_err(|error| {
            let message = match error {
                ReadError::Syntax(error) => format!("the answer is not JSON: {error}"),
                ReadError::TooLong(problem) => format!("in the answer, {problem}"),
            };
            Failure::new(ErrorClass::InvalidOutput, message)
        })?;
        let judged =
            self.judge.as_ref().map_or_else(|| Ok(Vec::new()), |judge| judge.judge(&value, "output"));
        let problems = judged.map_err(|error| {
            let message = format!("no answer can be checked: the step's 'outputSchema' is refused: {error}");
            Failure::new(ErrorClass::BadRequest, message)
        })?;
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

/// The schema of one strict call of `final`.
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

/// The schema for the model requires every field, as strict modes demand; accepted answers may omit null fields.
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

/// Parses the whole answer, or the content of its only code block.
fn json_of(text: &str) -> Result<Value, ReadError> {
    let read = |text: &str| json::read(text.trim().as_bytes(), "output");
    let no_json = match read(text) {
        Err(ReadError::Syntax(error)) => error,
        read => return read,
    };
    for blocks in [fence::blocks(text), fence::blocks_anywhere(text)] {
        if let [block] = blocks[..] {
            match read(block) {
                Err(ReadError::Syntax(_)) => {}
                read => return read,
            }
        }
    }
    Err(ReadError::Syntax(no_json))
}

#[cfg(test)]
mod tests {
    use super::{super::attempt::AnswerEnd, *};
    use domain::usage::Usage;

    fn form(step: Value) -> OutputForm {
        let own = |schema| OutputSchema::new(schema, &Arc::default());
        OutputForm::of(&serde_json::from_value(step).unwrap(), own).unwrap()
    }

    fn schema() -> OutputForm {
        form(json!({"name": "Score", "outputSchema": {
            "type": "object",
            "required": ["score"],
            "properties": {"score": {"type": "integer", "minimum": 0}},
        }}))
    }

    fn answer(text: &str, cut: bool) -> Answer {
        let end = AnswerEnd { cut, unknown_finish: None };
        Answer { text: text.to_owned(), usage: Usage::default(), end }
    }

    #[test]
    fn json_is_taken_alone_or_from_its_one_fence() {
        for text in [
            "{\"score\": 7}",
            " \n{\"score\":7}\n",
            "Sure!\n```json\n{\"score\": 7}\n```\nDone.",
            "Sure: ```json\n{\"score\": 7}\n```",
            "~~~~\n{\"score\": 7}\n~~~~",
            "````json\n{\"score\": 7}\n````",
            "```json\n{\"score\": 7}",
        ] {
            let output = schema().read(&answer(text, false)).unwrap();
            assert_eq!(output.value, json!({"score": 7}), "{text}");
            assert_eq!(schema().of_stored(output.json, output.text).unwrap(), output.value);
        }
    }

    #[test]
    fn fences_within_a_files_content_are_content() {
        let content = "# Use\n\n```js\nlet a = `x`;\n```\n\n~~~~\n```\n~~~~\n";
        let object = json!({"files": [{"path": "README.md", "content": content}], "summary": "See ```x```."});
        let files = form(json!({"name": "F", "with": {"files": true}}));
        for fence in ["```", "````", "~~~", "~~~~"] {
            for json in [object.to_string(), serde_json::to_string_pretty(&object).unwrap()] {
                let output = files.read(&answer(&format!("Here:\n{fence}json\n{json}\n{fence}\n"), false));
                let change = &output.unwrap().changes[0];
                assert_eq!(change.content.as_deref(), Some(content), "{fence}");
            }
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
            (
                "{\"score\": 123456789012345678901234567890}",
                false,
                ErrorClass::InvalidOutput,
                "output.score: 123456789012345678901234567890: a whole number of more than 64 bits",
            ),
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
