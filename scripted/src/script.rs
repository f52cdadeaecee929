//! What to answer to whom: ordered rules, of which the first that matches and is not used up applies.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::request::Request;

/// One line of the script: whom it is for, and what they get.
///
/// All conditions given must hold; a rule without any matches every request. When no rule applies, the answer is an
/// echo of the last user message, at once.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Rule {
    /// The model must have exactly this name.
    pub model: Option<String>,
    /// The last user message must contain this.
    pub last_user: Option<String>,
    /// The system prompt must contain this.
    pub system: Option<String>,
    /// After so many matches the rule is used up, and later rules get their turn.
    pub times: Option<u32>,

    /// The answer; by default an echo of the last user message. `{{last_user}}`, `{{system}}`, `{{model}}` and `{{n}}`
    /// (which match of this rule it is, from 1) are filled in.
    pub text: Option<String>,
    /// Characters per streamed piece; by default the whole answer is one piece.
    pub chunk_size: Option<usize>,
    /// Milliseconds before the first piece (before anything at all, when not streamed).
    pub first_token_ms: u64,
    /// Milliseconds before each later piece.
    pub chunk_ms: u64,
    /// Wait, before the piece of this number (from 0), until the server is told to release.
    pub hold: Option<usize>,
    /// Reported token usage; by default about a token per four characters.
    pub usage: Option<TokenUsage>,
    pub finish: Finish,
    /// What the provider adds to its finish reason: a refusal's text, Gemini's `finishMessage`.
    pub finish_message: Option<String>,
    /// Leave out the mark with which the protocol ends a stream: `[DONE]`, `message_stop`, `"done": true`. Gemini has none.
    pub no_end_mark: bool,
    /// What goes wrong.
    pub fault: Option<Fault>,
}

/// Tokens as a provider reports them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenUsage {
    pub input_tokens: u64,
    pub output_tokens: u64,
}

/// Why the answer says that it ended. Each protocol has its own word for it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Finish {
    #[default]
    Stop,
    /// Cut by the limit on output tokens.
    Length,
    /// Withheld by a filter.
    ContentFilter,
    /// This word, in every protocol: `{"word": "abort"}`.
    Word(String),
    /// No word at all.
    None,
}

/// A way to fail. `after` counts pieces that are still sent properly (see [`Rule::chunk_size`]).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Fault {
    /// Refuse with an HTTP status and the protocol's own form of error.
    Status {
        status: u16,
        /// Sent as the header `Retry-After`: seconds, or an HTTP date.
        #[serde(default)]
        retry_after: Option<String>,
        #[serde(default)]
        message: Option<String>,
    },
    /// Never answer.
    Stall,
    /// Fall silent in the middle of the stream.
    StallMidway {
        #[serde(default)]
        after: usize,
    },
    /// Send all of the answer, and never close the connection.
    StallAtEnd,
    /// Close the socket in the middle of the stream.
    Cut {
        #[serde(default)]
        after: usize,
    },
    /// End the stream tidily, but before its end.
    EndEarly {
        #[serde(default)]
        after: usize,
    },
    /// Send a piece that is not JSON, then go on.
    BadJson {
        #[serde(default)]
        after: usize,
    },
    /// Send a piece whose text is not UTF-8, then go on.
    BadUtf8 {
        #[serde(default)]
        after: usize,
    },
    /// Report an error within the stream, as overloaded providers do.
    ErrorEvent {
        #[serde(default)]
        after: usize,
        #[serde(default)]
        message: Option<String>,
    },
    /// A proper answer with nothing in it.
    Empty,
    /// A web page with status 200, as a wrong base URL or a captive proxy gives.
    Html,
}

impl Finish {
    /// The word on the wire, where `words` are the protocol's own for stop, length and filter.
    pub(crate) fn word<'a>(&'a self, words: [&'a str; 3]) -> Option<&'a str> {
        match self {
            Self::Stop => Some(words[0]),
            Self::Length => Some(words[1]),
            Self::ContentFilter => Some(words[2]),
            Self::Word(word) => Some(word),
            Self::None => None,
        }
    }
}

impl Rule {
    /// Answer every request with this text.
    pub fn text(text: impl Into<String>) -> Self {
        Self { text: Some(text.into()), ..Self::default() }
    }

    /// Fail every request this way.
    pub fn fault(fault: Fault) -> Self {
        Self { fault: Some(fault), ..Self::default() }
    }

    pub fn model(mut self, name: impl Into<String>) -> Self {
        self.model = Some(name.into());
        self
    }

    pub fn last_user(mut self, contains: impl Into<String>) -> Self {
        self.last_user = Some(contains.into());
        self
    }

    pub fn system(mut self, contains: impl Into<String>) -> Self {
        self.system = Some(contains.into());
        self
    }

    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    pub fn chunk_size(mut self, characters: usize) -> Self {
        self.chunk_size = Some(characters);
        self
    }

    pub fn first_token(mut self, delay: Duration) -> Self {
        self.first_token_ms = delay.as_millis() as u64;
        self
    }

    pub fn chunk_delay(mut self, delay: Duration) -> Self {
        self.chunk_ms = delay.as_millis() as u64;
        self
    }

    pub fn hold(mut self, before_piece: usize) -> Self {
        self.hold = Some(before_piece);
        self
    }

    pub fn usage(mut self, input_tokens: u64, output_tokens: u64) -> Self {
        self.usage = Some(TokenUsage { input_tokens, output_tokens });
        self
    }

    pub fn finish(mut self, finish: Finish) -> Self {
        self.finish = finish;
        self
    }

    /// End with this word, whatever the protocol.
    pub fn finish_word(self, word: impl Into<String>) -> Self {
        self.finish(Finish::Word(word.into()))
    }

    pub fn finish_message(mut self, message: impl Into<String>) -> Self {
        self.finish_message = Some(message.into());
        self
    }

    pub fn no_end_mark(mut self) -> Self {
        self.no_end_mark = true;
        self
    }

    pub(crate) fn matches(&self, request: &Request) -> bool {
        self.model.as_ref().is_none_or(|name| *name == request.model)
            && self.last_user.as_ref().is_none_or(|part| request.last_user().contains(part))
            && self
                .system
                .as_ref()
                .is_none_or(|part| request.system.as_ref().is_some_and(|system| system.contains(part)))
    }
}

impl Fault {
    /// Refuse with this status, without more.
    pub fn status(status: u16) -> Self {
        Self::Status { status, retry_after: None, message: None }
    }

    /// Refuse with 429 and this `Retry-After`.
    pub fn rate_limit(retry_after: impl Into<String>) -> Self {
        Self::Status { status: 429, retry_after: Some(retry_after.into()), message: None }
    }
}

/// A document for `PUT /script`.
#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum ScriptDocument {
    Rules(Vec<Rule>),
    Full {
        rules: Vec<Rule>,
        /// What `GET …/models` lists.
        models: Option<Vec<String>>,
    },
}

/// The rules in force, each with the number of its matches so far.
#[derive(Default)]
pub(crate) struct Script {
    rules: Vec<(Rule, u32)>,
}

impl Script {
    pub fn new(rules: Vec<Rule>) -> Self {
        Self { rules: rules.into_iter().map(|rule| (rule, 0)).collect() }
    }

    /// The rule for this request and which match of it this is, from 1. Counts the match.
    pub fn next(&mut self, request: &Request) -> Option<(Rule, u32)> {
        let (rule, matched) = self.rules.iter_mut().find(|(rule, matched)| {
            rule.times.is_none_or(|times| *matched < times) && rule.matches(request)
        })?;
        *matched += 1;
        Some((rule.clone(), *matched))
    }
}
