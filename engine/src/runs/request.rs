//! The request of a step to its model: the role's base prompt as system message, the rendered step as user message.

use super::shown_files::FileToShow;
use crate::{
    fence::Fenced,
    models::{ChatMessage, MessageAuthor, ModelRequest},
    store::{messages::Earlier, versions::RoleVersion},
};
use domain::template::Step;

/// How much of the conversation is sent with free text, in bytes including the question: about 8,000 tokens.
const CONVERSATION_BUDGET: usize = 32 * 1024;
/// The local model has one context of 8,192 tokens for four concurrent calls: about 2,000 each, including the answer.
const LOCAL_CONVERSATION_BUDGET: usize = 3 * 1024;
/// Without a limit, a small model rambles until its context is full.
const LOCAL_MAX_TOKENS: u32 = 512;

/// A model needs more tokens to complete JSON.
const LOCAL_MAX_JSON_TOKENS: u32 = 1_200;
/// How many bytes of the existing files a step is shown; files beyond that are listed by name only.
const FILES_BUDGET: u64 = 256 * 1024;
const LOCAL_FILES_BUDGET: u64 = 2 * 1024;

/// The request for a step of an ordinary template: it contains only what is mapped to the step.
pub(super) fn of_step(step: &Step, prompt: String, role: &RoleVersion, model: String) -> ModelRequest {
    let system = Some(role.base_prompt.clone()).filter(|prompt| !prompt.trim().is_empty());
    let local = is_local(role);
    let json = step.output_schema.is_some() || step.writes_files() || step.uses.is_some();
    let own_limit = if json { LOCAL_MAX_JSON_TOKENS } else { LOCAL_MAX_TOKENS };
    let max_tokens = role.max_tokens.or(local.then_some(own_limit));
    ModelRequest {
        model,
        system,
        messages: vec![ChatMessage::user(prompt)],
        temperature: role.temperature,
        max_tokens,
        schema: None,
    }
}

/// How many bytes of the existing files a step is shown.
pub(super) fn files_budget(local: bool) -> u64 {
    if local { LOCAL_FILES_BUDGET } else { FILES_BUDGET }
}

/// Adds the existing files to the request of a step that may edit them.
pub(super) fn with_files(request: &mut ModelRequest, files: &[FileToShow]) {
    let Some(message) = request.messages.last_mut().filter(|_| !files.is_empty()) else { return };
    message.text.push_str("\n\n### Files that are there");
    for FileToShow { path, text, .. } in files {
        let Some(text) = text else { continue };
        message.text.push_str(&format!("\n\n{path}:\n{}", Fenced::from(text.as_str())));
    }
    let left_out = files.iter().filter(|file| file.text.is_none()).map(|file| file.path.as_str());
    let left_out: Vec<_> = left_out.collect();
    if !left_out.is_empty() {
        message.text.push_str(&format!("\n\nToo long to show: {}", left_out.join(", ")));
    }
}

/// How many bytes of the conversation are sent with the question.
pub(super) fn conversation_budget(request: &ModelRequest, role: &RoleVersion) -> i64 {
    let whole = if is_local(role) { LOCAL_CONVERSATION_BUDGET } else { CONVERSATION_BUDGET };
    let question: usize = request.messages.iter().map(|message| message.text.len()).sum();
    whole.saturating_sub(question) as i64
}

/// Inserts the newest earlier messages that fit the budget before the question.
///
/// The messages must alternate and begin with the user's, as many models require. So questions without an answer (their
/// run failed, was stopped or is live) are merged with the next question.
pub(super) fn with_conversation(request: &mut ModelRequest, earlier: &[Earlier]) {
    let said = earlier.iter().map(|message| match message.author.as_str() {
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
