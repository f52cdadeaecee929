//! What a step asks its model: the role's base prompt as the system's, the rendered step as the user's.

use crate::{
    models::{ModelRequest, Turn},
    store::{messages::Earlier, versions::RoleVersion},
};
use domain::{
    expression::{Context, Evaluator, ExpressionError},
    template::Step,
};

/// How much of a conversation goes along with free text, in bytes: about 8,000 tokens.
const CONVERSATION_BUDGET: usize = 32 * 1024;
/// The local model's context is 2,048 tokens per call.
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
    })
}

/// Puts the conversation's earlier messages before the question, the newest first into the budget.
pub(super) fn with_conversation(request: &mut ModelRequest, role: &RoleVersion, earlier: &[Earlier]) {
    let mut budget = if is_local(role) { LOCAL_CONVERSATION_BUDGET } else { CONVERSATION_BUDGET };
    let mut turns = Vec::new();
    for message in earlier.iter().rev() {
        let Some(rest) = budget.checked_sub(message.content.len()) else { break };
        budget = rest;
        turns.push(match message.author.as_str() {
            "assistant" => Turn::assistant(&message.content),
            _ => Turn::user(&message.content),
        });
    }
    turns.reverse();
    request.turns.splice(0..0, turns);
}

fn is_local(role: &RoleVersion) -> bool {
    role.model.provider().as_ref() == "local"
}
