//! What a step asks its model: the role's base prompt as the system's, the rendered step as the user's.

use crate::{
    models::{ChatMessage, MessageAuthor, ModelRequest},
    store::{messages::Earlier, versions::RoleVersion},
};
use domain::{
    expression::{Context, Evaluator, ExpressionError},
    file::FilePath,
    plan::PlannedStep,
    template::{Step, Uses},
};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// How much of a conversation goes along with free text, in bytes with the question: about 8,000 tokens.
const CONVERSATION_BUDGET: usize = 32 * 1024;
/// The local model has one context of 8,192 tokens for four calls at once: about 2,000 for each, answer included.
const LOCAL_CONVERSATION_BUDGET: usize = 3 * 1024;
/// A small model without a limit rambles until its context is full.
const LOCAL_MAX_TOKENS: u32 = 512;

/// A model that writes JSON needs room to bring it to its end.
const LOCAL_MAX_JSON_TOKENS: u32 = 1_200;
/// How much of the files that are there a step is shown, in bytes; of those left out it is told the names.
const FILES_BUDGET: usize = 256 * 1024;
const LOCAL_FILES_BUDGET: usize = 2 * 1024;

/// What an aggregate is asked for that has no prompt of its own.
const RECONCILE: &str = "Several workers were given the same task. Weigh their results against each other, settle where \
                         they differ, and give one final answer. Use nothing but what stands in the results.";

/// The request for a step of an ordinary template: nothing but what is mapped to it.
pub(super) fn of_step(
    evaluator: &Evaluator,
    step: &Step,
    plan: &[PlannedStep],
    role: &RoleVersion,
    model: String,
    context: &Context<'_>,
) -> Result<ModelRequest, ExpressionError> {
    let mapped = evaluator.input_mapping(step, context)?;
    let prompt = if step.uses == Some(Uses::Aggregate) {
        let candidates = candidates(evaluator, step, &mapped, plan, context)?;
        let question = if step.prompt.is_some() || step.description.is_some() {
            evaluator.question(step, &mapped, context)?
        } else {
            RECONCILE.to_owned()
        };
        format!("{question}\n\n### Results\n\n{candidates:#}")
    } else {
        evaluator.prompt(step, &mapped, context)?
    };
    let system = Some(role.base_prompt.clone()).filter(|prompt| !prompt.trim().is_empty());
    let local = is_local(role);
    let json = step.output_schema.is_some() || step.writes_files() || step.uses.is_some();
    let own_limit = if json { LOCAL_MAX_JSON_TOKENS } else { LOCAL_MAX_TOKENS };
    let max_tokens = role.max_tokens.or(local.then_some(own_limit));
    Ok(ModelRequest {
        model,
        system,
        messages: vec![ChatMessage::user(prompt)],
        temperature: role.temperature,
        max_tokens,
        schema: None,
    })
}

/// What an aggregate weighs, normalised: a list of `{name, output}`, texts trimmed, those without an output left out and
/// named at the end. It is the argument `candidates`, else the mapped inputs, else what the step depends on.
fn candidates(
    evaluator: &Evaluator,
    step: &Step,
    mapped: &Map<String, Value>,
    plan: &[PlannedStep],
    context: &Context<'_>,
) -> Result<Value, ExpressionError> {
    let given = evaluator.arguments(step, context)?.remove("candidates");
    let named: Vec<(String, Value)> = match given {
        Some(Value::Array(items)) => {
            (1..).zip(items).map(|(number, item)| (format!("Result {number}"), item)).collect()
        }
        Some(Value::Object(map)) => map.into_iter().collect(),
        Some(other) => vec![("Result".to_owned(), other)],
        None if !mapped.is_empty() => mapped.clone().into_iter().collect(),
        None => {
            let own = plan.iter().find(|planned| planned.name == step.name);
            let upstream = own.into_iter().flat_map(|own| &own.depends_on);
            let names = upstream.filter_map(|&index| plan.get(index as usize)).map(|planned| &planned.name);
            names.map(|name| (name.clone(), context.outputs.get(name).cloned().unwrap_or_default())).collect()
        }
    };
    let (mut results, mut absent) = (Vec::new(), Vec::new());
    for (name, output) in named {
        let output = match output {
            Value::String(text) => Value::from(text.trim()),
            other => other,
        };
        match output {
            Value::Null => absent.push(name),
            Value::String(text) if text.is_empty() => absent.push(name),
            output => results.push(json!({ "name": name, "output": output })),
        }
    }
    if results.is_empty() {
        return Err(ExpressionError {
            path: "candidates".to_owned(),
            line: None,
            message: "there is nothing to aggregate: none of them has an output".to_owned(),
        });
    }
    Ok(if absent.is_empty() {
        json!(results)
    } else {
        json!({ "results": results, "withoutResult": absent })
    })
}

/// Shows the files that are there to a step that may edit them.
pub(super) fn with_files(request: &mut ModelRequest, files: &BTreeMap<FilePath, String>, local: bool) {
    let Some(message) = request.messages.last_mut().filter(|_| !files.is_empty()) else { return };
    let mut budget = if local { LOCAL_FILES_BUDGET } else { FILES_BUDGET };
    message.text.push_str("\n\n### Files that are there");
    let mut left_out = Vec::new();
    for (path, text) in files {
        match budget.checked_sub(text.len()) {
            Some(rest) => {
                budget = rest;
                let fence = if text.contains("```") { "~~~~" } else { "```" };
                message.text.push_str(&format!("\n\n{path}:\n{fence}\n{text}\n{fence}"));
            }
            None => left_out.push(path.as_str()),
        }
    }
    if !left_out.is_empty() {
        message.text.push_str(&format!("\n\nToo long to show: {}", left_out.join(", ")));
    }
}

/// Puts the conversation's earlier messages before the question, the newest first into the budget.
///
/// The messages alternate and begin with the user's, as many models insist: questions that have no answer (their run failed,
/// was stopped or still works) become one message with the question after them.
pub(super) fn with_conversation(request: &mut ModelRequest, role: &RoleVersion, earlier: &[Earlier]) {
    let whole = if is_local(role) { LOCAL_CONVERSATION_BUDGET } else { CONVERSATION_BUDGET };
    let question: usize = request.messages.iter().map(|message| message.text.len()).sum();
    let mut budget = whole.saturating_sub(question);
    let fitting = earlier.iter().rev().take_while(|message| {
        let rest = budget.checked_sub(message.content.len());
        budget = rest.unwrap_or(0);
        rest.is_some()
    });
    let fitting: Vec<_> = fitting.collect();
    let said = fitting.into_iter().rev().map(|message| match message.author.as_str() {
        "assistant" => ChatMessage::assistant(&message.content),
        _ => ChatMessage::user(&message.content),
    });
    let mut messages: Vec<ChatMessage> = Vec::new();
    for message in said
        .skip_while(|message| message.author == MessageAuthor::Assistant)
        .chain(request.messages.drain(..))
    {
        match messages.last_mut().filter(|last| last.author == message.author) {
            Some(last) => {
                last.text.push_str("\n\n");
                last.text.push_str(&message.text);
            }
            None => messages.push(message),
        }
    }
    request.messages = messages;
}

pub(super) fn is_local(role: &RoleVersion) -> bool {
    role.model.provider().as_ref() == "local"
}
