//! A streaming answer: translates `genai`'s events into ours, and determines its true end.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use domain::usage::Usage;
use futures::Stream;
use genai::chat::{ChatStream, ChatStreamEvent, StreamEnd};
use serde_json::Value;
use tokio::time::Sleep;
use tracing::dispatcher::{self, Dispatch};

use super::error::ModelError;
use super::event::ModelEvent;
use super::frames::FrameWatch;
use super::wire_error::Wire;

/// How long the stream may stay open after the provider has reported the end. Token counts and the end mark arrive in
/// that time; a server that forgets to close the connection must not turn a complete answer into a timeout.
const CLOSING: Duration = Duration::from_secs(2);

/// The stream that callers poll. Its last item is a finish or an error.
pub(super) struct AnswerStream {
    inner: ChatStream,
    frames: Arc<FrameWatch>,
    frames_seen: u32,
    wire: Wire,
    /// The last items: at most the usage and one more.
    ending: VecDeque<Result<ModelEvent, ModelError>>,
    ended: bool,
    has_text: bool,
    /// Set once the provider has reported why the answer ended.
    closing: Option<Pin<Box<Sleep>>>,
}

impl AnswerStream {
    pub fn new(inner: ChatStream, frames: Arc<FrameWatch>, wire: Wire) -> Self {
        Self {
            inner,
            frames,
            frames_seen: 0,
            wire,
            ending: VecDeque::new(),
            ended: false,
            has_text: false,
            closing: None,
        }
    }

    fn event(&mut self, event: ChatStreamEvent) -> Option<ModelEvent> {
        match event {
            ChatStreamEvent::Start => None,
            ChatStreamEvent::Chunk(chunk) if chunk.content.is_empty() => None,
            ChatStreamEvent::Chunk(chunk) => {
                self.has_text = self.has_text || !chunk.content.trim().is_empty();
                Some(ModelEvent::Text(chunk.content))
            }
            ChatStreamEvent::ReasoningChunk(chunk) => Some(ModelEvent::Reasoning(chunk.content)),
            ChatStreamEvent::ThoughtSignatureChunk(_)
            | ChatStreamEvent::ToolCallChunk(_)
            | ChatStreamEvent::Heartbeat => Some(ModelEvent::Alive),
            ChatStreamEvent::End(end) => {
                self.end(usage_of(end));
                None
            }
        }
    }

    /// Ends the stream. `usage` is `genai`'s count, which is missing if the stream has no end mark.
    fn end(&mut self, usage: Option<Usage>) {
        if let Some(usage) = usage.or_else(|| self.frames.usage()) {
            self.ending.push_back(Ok(ModelEvent::Usage(usage)));
        }
        let reported = self.frames.take_error();
        self.end_with(if let Some(body) = reported {
            Err(self.wire.reported(&serde_json::from_str(&body).unwrap_or(Value::String(body))))
        } else if self.frames.is_another_document() {
            Err(self.wire.not_a_model())
        } else {
            self.frames.ending().judge(self.has_text, self.wire.redactor()).map(ModelEvent::Finish)
        });
    }

    fn end_with(&mut self, item: Result<ModelEvent, ModelError>) {
        self.ended = true;
        self.ending.push_back(item);
    }

    /// Handles a broken stream. If the provider has reported the end before, the answer is complete.
    fn fail(&mut self, error: &genai::Error) {
        use genai::Error as E;
        let has_ended = self.frames.has_ended() && matches!(error, E::WebStream { .. });
        // `genai` treats an answer without a candidate as an error and drops the reason that it contains.
        let is_blocked = self.frames.ending().refusal.is_some() && matches!(error, E::ChatResponse { .. });
        if has_ended || is_blocked {
            return self.end(None);
        }
        let error = match error {
            E::StreamParse { .. } if self.frames.is_another_document() => self.wire.not_a_model(),
            other => self.wire.classify(other),
        };
        self.end_with(Err(error));
    }

    /// Whether [`CLOSING`] has passed since the provider reported why the answer ended.
    fn has_lingered(&mut self, context: &mut Context<'_>) -> bool {
        if self.closing.is_none() && self.frames.has_ended() {
            self.closing = Some(Box::pin(tokio::time::sleep(CLOSING)));
        }
        self.closing.as_mut().is_some_and(|closing| closing.as_mut().poll(context).is_ready())
    }
}

impl Stream for AnswerStream {
    type Item = Result<ModelEvent, ModelError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            if let Some(item) = this.ending.pop_front() {
                return Poll::Ready(Some(item));
            }
            if this.ended {
                return Poll::Ready(None);
            }
            // `genai` logs providers' answers, and errors in full; a provider's error may repeat the key. The engine
            // logs failures itself, without the key.
            let polled =
                dispatcher::with_default(&Dispatch::none(), || Pin::new(&mut this.inner).poll_next(context));
            match polled {
                Poll::Ready(Some(Ok(event))) => {
                    if let Some(event) = this.event(event) {
                        this.frames_seen = this.frames.count();
                        return Poll::Ready(Some(Ok(event)));
                    }
                }
                Poll::Ready(Some(Err(error))) => this.fail(&error),
                Poll::Ready(None) => this.end(None),
                Poll::Pending => {
                    // A frame for which `genai` has no event also ends a silence.
                    let frames = this.frames.count();
                    if frames != this.frames_seen {
                        this.frames_seen = frames;
                        return Poll::Ready(Some(Ok(ModelEvent::Alive)));
                    }
                    if !this.has_lingered(context) {
                        return Poll::Pending;
                    }
                    this.end(None);
                }
            }
        }
    }
}

fn usage_of(end: StreamEnd) -> Option<Usage> {
    let usage = end.captured_usage?;
    let tokens = |count: Option<i32>| count.and_then(|count| u64::try_from(count).ok()).unwrap_or(0);
    Some(Usage::new(tokens(usage.prompt_tokens), tokens(usage.completion_tokens)))
}
