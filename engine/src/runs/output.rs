//! What a step's answer becomes. Without an `outputSchema` it is text. With one it is JSON that meets the schema, or a
//! failure: the model is told what was wrong when it is asked again.
//!
//! The provider's structured mode is used where it has one, and trusted nowhere: some leave out what they do not
//! support, and some models answer in prose all the same.

use super::attempt::Answer;
use crate::{
    Error, Result,
    models::{ModelRequest, Turn, TurnAuthor},
};
use domain::{
    error::ErrorClass,
    event::Failure,
    problem::Problem,
    schema::Schema,
    template::{Step, Template},
};
use serde_json::Value;

/// How many of an answer's problems the model is told.
const TOLD: usize = 10;

pub(super) struct OutputSchema {
    schema: Value,
    judge: Schema,
}

impl OutputSchema {
    /// One per step of the template, in its order.
    pub fn all(template: &Template) -> Result<Vec<Option<Self>>> {
        let of = |step: &Step| {
            let Some(schema) = &step.output_schema else { return Ok(None) };
            let judge = Schema::new(schema).map_err(Error::internal)?;
            Ok(Some(Self { schema: schema.clone(), judge }))
        };
        template.steps.iter().map(of).collect()
    }

    /// Adds to a step's request what its answer must look like, and why the last one was not good enough.
    pub fn ask(&self, request: &mut ModelRequest, last: Option<&Failure>) {
        let mut wish = format!(
            "Answer with JSON alone: no other words, no code fence. It must meet this JSON Schema:\n{}",
            self.schema
        );
        let refused = last.filter(|failure| {
            matches!(failure.class, ErrorClass::InvalidOutput | ErrorClass::Truncated | ErrorClass::Empty)
        });
        if let Some(failure) = refused {
            wish.push_str(&format!(
                "\n\nYour last answer was refused: {}. Do better this time.",
                failure.message
            ));
        }
        match request.turns.last_mut().filter(|turn| turn.author == TurnAuthor::User) {
            Some(turn) => turn.text = format!("{}\n\n{wish}", turn.text),
            None => request.turns.push(Turn::user(wish)),
        }
        request.schema = Some(self.schema.clone());
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

/// The output, and the text that it is stored as.
pub(super) fn of_answer(schema: Option<&OutputSchema>, answer: &Answer) -> Result<(Value, String), Failure> {
    match schema {
        None => Ok((Value::String(answer.text.clone()), answer.text.clone())),
        Some(schema) => schema.read(answer).map(|value| {
            let text = value.to_string();
            (value, text)
        }),
    }
}

/// The output that was stored as this text.
pub(super) fn of_stored(schema: Option<&OutputSchema>, text: String) -> Result<Value> {
    match schema {
        None => Ok(Value::String(text)),
        Some(_) => serde_json::from_str(&text).map_err(Error::internal),
    }
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
    use serde_json::json;

    fn schema() -> OutputSchema {
        let schema = json!({
            "type": "object",
            "required": ["score"],
            "properties": {"score": {"type": "integer", "minimum": 0}},
        });
        OutputSchema { judge: Schema::new(&schema).unwrap(), schema }
    }

    fn answer(text: &str, cut: bool) -> Answer {
        Answer { text: text.to_owned(), usage: Usage::default(), cut }
    }

    #[test]
    fn json_is_taken_alone_or_from_its_one_fence() {
        for text in ["{\"score\": 7}", " \n{\"score\":7}\n", "Sure!\n```json\n{\"score\": 7}\n```\nDone."] {
            let (value, stored) = of_answer(Some(&schema()), &answer(text, false)).unwrap();
            assert_eq!(value, json!({"score": 7}), "{text}");
            assert_eq!(of_stored(Some(&schema()), stored).unwrap(), value);
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
            let failure = of_answer(Some(&schema()), &answer(text, cut)).unwrap_err();
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
        );
        let text = &request.turns[0].text;
        assert!(text.starts_with("How good is it?\n\nAnswer with JSON alone"), "{text}");
        assert!(text.contains("refused: output.score: must be positive."), "{text}");
        let mut request = ModelRequest::new("m", "How good is it?");
        schema().ask(&mut request, Some(&Failure::new(ErrorClass::RateLimit, "later")));
        assert!(!request.turns[0].text.contains("refused"), "the model had no part in it");
    }
}
