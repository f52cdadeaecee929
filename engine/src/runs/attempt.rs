//! One attempt: the model call from its first byte to its end.
//!
//! Invariant: success requires a finish reason and some text; every other end is a failure with a class.

use super::paths::Paths;
use crate::{
    live::RunChannel,
    models::{FinishReason, ModelClient, ModelError, ModelEvent, ModelRequest},
};
use domain::{error::ErrorClass, event::Failure, file::FilePath, id::StepRunId, usage::Usage};
use futures::StreamExt;
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, timeout_at};

/// Time limit of an attempt whose step has no `timeout` (DESIGN section 5).
pub(super) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10 * 60);
/// A model that sends nothing for this long has stalled.
const SILENCE: Duration = Duration::from_secs(120);
/// Delay before a call that panicked is retried.
const AFTER_PANIC: Duration = Duration::from_secs(1);
/// The longest answer that is accepted, in bytes.
const LONGEST: usize = 50 * 1024 * 1024;

#[derive(Debug)]
pub(super) struct Answer {
    pub text: String,
    pub usage: Usage,
    pub end: AnswerEnd,
}

/// What a person should know about the end of a successful answer; usually nothing.
#[derive(Debug, Default)]
pub(super) struct AnswerEnd {
    /// The answer was cut off at the token limit.
    pub cut: bool,
    /// The provider's finish reason, if it is not a known one (see `models/finish.rs`).
    pub unknown_finish: Option<String>,
}

#[derive(Debug)]
pub(super) struct CallFailure {
    pub failure: Failure,
    pub retry_after: Option<Duration>,
    pub timed_out: bool,
    /// Usage that the provider reports in spite of the failure.
    pub usage: Usage,
}

impl From<ModelError> for CallFailure {
    fn from(error: ModelError) -> Self {
        Self {
            failure: Failure::new(error.class, error.message.clone()),
            retry_after: error.retry_after,
            timed_out: error.class == ErrorClass::Timeout,
            usage: Usage::default(),
        }
    }
}

impl CallFailure {
    /// A panic is the server's own fault, so it is treated like an interruption: retried after a delay, a limited
    /// number of times.
    pub fn panicked() -> Self {
        let failure = Self::new(ErrorClass::Interrupted, "the server failed while this attempt ran");
        Self { retry_after: Some(AFTER_PANIC), ..failure }
    }

    fn new(class: ErrorClass, message: impl Into<String>) -> Self {
        Self {
            failure: Failure::new(class, message),
            retry_after: None,
            timed_out: class == ErrorClass::Timeout,
            usage: Usage::default(),
        }
    }
}

/// Calls the model and streams its text, and the paths of the files in it, to the channel. Dropping the future aborts
/// the request.
pub(super) async fn call(
    client: Arc<dyn ModelClient>,
    request: ModelRequest,
    limit: Duration,
    channel: &RunChannel,
    step: StepRunId,
    attempt: u32,
    requested: impl Fn(FilePath),
) -> Result<Answer, CallFailure> {
    let end = Instant::now() + limit;
    let too_long = || {
        let after = if limit <= SILENCE { limit } else { SILENCE };
        let why = if Instant::now() >= end {
            format!("no complete answer within {}", seconds(limit))
        } else {
            format!("the model said nothing for {}", seconds(after))
        };
        CallFailure::new(ErrorClass::Timeout, why)
    };
    let next = || end.min(Instant::now() + SILENCE);
    let mut stream = timeout_at(next(), client.stream(request)).await.map_err(|_| too_long())??;
    let mut answer = Answer { text: String::new(), usage: Usage::default(), end: AnswerEnd::default() };
    let mut finish = None;
    let mut paths = Paths::default();
    while let Some(event) = timeout_at(next(), stream.next()).await.map_err(|_| too_long())? {
        match event.map_err(|error| CallFailure { usage: answer.usage, ..error.into() })? {
            ModelEvent::Text(text) => {
                if answer.text.len() + text.len() > LONGEST {
                    let limit = LONGEST / 1024 / 1024;
                    return Err(CallFailure::new(
                        ErrorClass::Limit,
                        format!("the answer is longer than {limit} MB"),
                    ));
                }
                channel.push(step, attempt, &text);
                answer.text.push_str(&text);
                paths.read(&answer.text, &requested);
            }
            ModelEvent::Usage(usage) => answer.usage = usage,
            ModelEvent::Finish(reason) => finish = Some(reason),
            ModelEvent::Reasoning(_) | ModelEvent::Alive => {}
        }
    }
    let failed = |class, why: &str| Err(CallFailure { usage: answer.usage, ..CallFailure::new(class, why) });
    match finish {
        None => failed(ErrorClass::Truncated, "the answer broke off before its end"),
        Some(FinishReason::ToolCalls) => {
            failed(ErrorClass::InvalidOutput, "the model asked for a tool that it was not given")
        }
        Some(_) if answer.text.trim().is_empty() => failed(ErrorClass::Empty, "the model answered nothing"),
        Some(FinishReason::Length) => {
            Ok(Answer { end: AnswerEnd { cut: true, unknown_finish: None }, ..answer })
        }
        Some(FinishReason::Unknown(word)) => {
            Ok(Answer { end: AnswerEnd { cut: false, unknown_finish: Some(word) }, ..answer })
        }
        Some(FinishReason::Stop) => Ok(answer),
    }
}

fn seconds(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds < 1.0 { format!("{} ms", duration.as_millis()) } else { format!("{seconds} s") }
}
