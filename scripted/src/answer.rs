//! The answer to one request, before it takes the form of a protocol.

use crate::request::Request;
use crate::script::{Fault, Finish, Rule, TokenUsage};

/// What is sent, how fast, and what goes wrong meanwhile.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The text, in the pieces in which it is streamed.
    pub pieces: Vec<String>,
    pub usage: TokenUsage,
    pub finish: Finish,
    pub finish_message: Option<String>,
    pub end_mark: bool,
    pub first_token_ms: u64,
    pub chunk_ms: u64,
    pub hold: Option<usize>,
    pub fault: Option<Fault>,
}

impl Answer {
    /// The answer that a rule gives at its `n`th match; without a rule, an echo.
    pub fn new(request: &Request, rule: Option<(Rule, u32)>) -> Self {
        let (rule, n) = rule.unwrap_or_default();
        let text = match (&rule.fault, rule.text) {
            (Some(Fault::Empty), _) => String::new(),
            (_, Some(template)) => fill(template, request, n),
            (_, None) => request.last_user().to_owned(),
        };
        let usage = rule.usage.unwrap_or_else(|| estimate(request, &text));
        Self {
            pieces: split(text, rule.chunk_size),
            usage,
            finish: rule.finish,
            finish_message: rule.finish_message,
            end_mark: !rule.no_end_mark,
            first_token_ms: rule.first_token_ms,
            chunk_ms: rule.chunk_ms,
            hold: rule.hold,
            fault: rule.fault,
        }
    }

    pub fn text(&self) -> String {
        self.pieces.concat()
    }

    /// Whether everything can be sent in one go.
    pub fn is_instant(&self) -> bool {
        self.first_token_ms == 0
            && (self.chunk_ms == 0 || self.pieces.len() <= 1)
            && self.hold.is_none()
            && matches!(self.fault, None | Some(Fault::Empty))
    }
}

fn fill(template: String, request: &Request, n: u32) -> String {
    if !template.contains("{{") {
        return template;
    }
    template
        .replace("{{model}}", &request.model)
        .replace("{{n}}", &n.to_string())
        .replace("{{system}}", request.system.as_deref().unwrap_or(""))
        .replace("{{last_user}}", request.last_user())
}

fn split(text: String, chunk_size: Option<usize>) -> Vec<String> {
    match chunk_size {
        _ if text.is_empty() => Vec::new(),
        None | Some(0) => vec![text],
        Some(size) => {
            let characters: Vec<char> = text.chars().collect();
            characters.chunks(size).map(|piece| piece.iter().collect()).collect()
        }
    }
}

fn estimate(request: &Request, text: &str) -> TokenUsage {
    let tokens = |bytes: usize| bytes.div_ceil(4) as u64;
    let prompt = request.system.as_ref().map_or(0, String::len)
        + request.messages.iter().map(|message| message.content.len()).sum::<usize>();
    TokenUsage { input_tokens: tokens(prompt), output_tokens: tokens(text.len()) }
}
