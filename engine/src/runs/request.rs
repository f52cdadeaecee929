//! What a step asks its model: the role's base prompt as the system's, the rendered step as the user's.

use crate::{
    models::{ModelRequest, Turn, TurnAuthor},
    store::{messages::Earlier, versions::RoleVersion},
};
use domain::{
    expression::{Context, Evaluator, ExpressionError},
    template::Step,
};

/// How much of a conversation goes along with free text, in bytes with the question: about 8,000 tokens.
const CONVERSATION_BUDGET: usize = 32 * 1024;
/// The local model has one context of 8,192 tokens for four calls at once: about 2,000 for each, answer included.
const LOCAL_CONVERSATION_BUDGET: usize = 3 * 1024;
/// A small model without a limit rambles until its context is full.
const LOCAL_MAX_TOKENS: u32 = 512;

/// The request for a step of an ordinary template: nothing but what is mapped to it.
pub(super) fn of_step(
    evaluator: &Evaluator,
    step: &Step,
    role: &RoleVersion,
    model: String,
    context: &Context<'_>,
) -> Result<ModelRequest, ExpressionError> {
    let mapped = evaluator.input_mapping(step, context)?;
    let prompt = evaluator.prompt(step, &mapped, context)?;
    let system = Some(role.base_prompt.clone()).filter(|prompt| !prompt.trim().is_empty());
    let local = is_local(role);
    let max_tokens = role.max_tokens.or(local.then_some(LOCAL_MAX_TOKENS));
    Ok(ModelRequest {
        model,
        system,
        turns: vec![Turn::user(prompt)],
        temperature: role.temperature,
        max_tokens,
        schema: None,
    })
}

/// Puts the conversation's earlier messages before the question, the newest first into the budget.
///
/// The turns alternate and begin with the user's, as many models insist: questions that have no answer (their run failed,
/// was stopped or still works) become one turn with the question after them.
pub(super) fn with_conversation(request: &mut ModelRequest, role: &RoleVersion, earlier: &[Earlier]) {
    let whole = if is_local(role) { LOCAL_CONVERSATION_BUDGET } else { CONVERSATION_BUDGET };
    let question: usize = request.turns.iter().map(|turn| turn.text.len()).sum();
    let mut budget = whole.saturating_sub(question);
    let fitting = earlier.iter().rev().take_while(|message| {
        let rest = budget.checked_sub(message.content.len());
        budget = rest.unwrap_or(0);
        rest.is_some()
    });
    let fitting: Vec<_> = fitting.collect();
    let said = fitting.into_iter().rev().map(|message| match message.author.as_str() {
        "assistant" => Turn::assistant(&message.content),
        _ => Turn::user(&message.content),
    });
    let mut turns: Vec<Turn> = Vec::new();
    for turn in said.skip_while(|turn| turn.author == TurnAuthor::Assistant).chain(request.turns.drain(..)) {
        match turns.last_mut().filter(|last| last.author == turn.author) {
            Some(last) => {
                last.text.push_str("\n\n");
                last.text.push_str(&turn.text);
            }
            None => turns.push(turn),
        }
    }
    request.turns = turns;
}

fn is_local(role: &RoleVersion) -> bool {
    role.model.provider().as_ref() == "local"
}
