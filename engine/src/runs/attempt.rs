//! One attempt: the model call from the first byte to a truthful end.
//!
//! Always true: success needs a finish reason and some text; every other end is a failure with a class.

use super::paths::Paths;
use crate::{
    live::RunChannel,
    models::{FinishReason, ModelClient, ModelError, ModelEvent, ModelRequest},
};
use domain::{error::ErrorClass, event::Failure, file::FilePath, id::StepRunId, usage::Usage};
use futures::StreamExt;
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, timeout_at};

/// An attempt without a `timeout` of its own ends after this (DESIGN section 5).
pub(super) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10 * 60);
/// A model that says nothing for this long has stalled.
const SILENCE: Duration = Duration::from_secs(120);
/// How long to wait before a call that panicked is tried again.
const AFTER_PANIC: Duration = Duration::from_secs(1);
/// The longest answer that is kept, in bytes.
const LONGEST: usize = 50 * 1024 * 1024;

#[derive(Debug)]
pub(super) struct Answer {
    pub text: String,
    pub usage: Usage,
    /// The token limit cut it off.
    pub cut: bool,
}

#[derive(Debug)]
pub(super) struct CallFailure {
    pub failure: Failure,
    pub retry_after: Option<Duration>,
    pub timed_out: bool,
    /// What the provider says that it cost nevertheless.
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
    /// The server's own fault, so it is treated like an interruption: tried again after a while, but not for ever.
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

/// Calls the model and hands on its text as it comes, and the paths of the files that it comes to. Dropping the future
/// ends the call on the wire.
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
    let mut answer = Answer { text: String::new(), usage: Usage::default(), cut: false };
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
    let in_vain = |class, why: &str| Err(CallFailure { usage: answer.usage, ..CallFailure::new(class, why) });
    match finish {
        None => in_vain(ErrorClass::Truncated, "the answer broke off before its end"),
        Some(FinishReason::ContentFilter) => {
            in_vain(ErrorClass::Refused, "the provider's filter withheld the answer")
        }
        Some(FinishReason::ToolCalls) => {
            in_vain(ErrorClass::InvalidOutput, "the model asked for a tool that it was not given")
        }
        Some(_) if answer.text.trim().is_empty() => in_vain(ErrorClass::Empty, "the model answered nothing"),
        Some(FinishReason::Length) => Ok(Answer { cut: true, ..answer }),
        Some(FinishReason::Stop | FinishReason::Other(_)) => Ok(answer),
    }
}

fn seconds(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds < 1.0 { format!("{} ms", duration.as_millis()) } else { format!("{seconds} s") }
}
