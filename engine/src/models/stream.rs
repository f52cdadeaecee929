//! An answer on its way: `genai`'s events made into ours, and an ending that means something.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use domain::error::ErrorClass;
use domain::usage::Usage;
use futures::Stream;
use genai::chat::{ChatFrameSink, ChatStream, ChatStreamEvent, FrameCtx, RawFrameRef, StopReason, StreamEnd};
use tracing::dispatcher::{self, Dispatch};

use super::error::ModelError;
use super::event::{FinishReason, ModelEvent};
use super::wire_error::Wire;

/// Sees every frame of an answer before `genai` interprets it, for `genai` passes over some things in silence: comments
/// that keep a stream alive, Ollama's error lines, and all of a web page.
#[derive(Default)]
pub(super) struct FrameWatch {
    frames: AtomicU32,
    /// Those that could be a model's: JSON, or the mark at the end of OpenAI's streams.
    plausible: AtomicU32,
    error: Mutex<Option<String>>,
}

impl ChatFrameSink for FrameWatch {
    fn on_frame(&self, _: &FrameCtx, frame: RawFrameRef<'_>) {
        self.frames.fetch_add(1, Ordering::Relaxed);
        if frame.data.starts_with(['{', '[']) {
            self.plausible.fetch_add(1, Ordering::Relaxed);
        }
        if frame.data.starts_with("{\"error\"") {
            *self.error.lock().unwrap_or_else(PoisonError::into_inner) = Some(frame.data.to_owned());
        }
    }
}

impl FrameWatch {
    /// Whether things came, and none of them was from a model.
    fn is_another_document(&self) -> bool {
        self.frames.load(Ordering::Relaxed) > 0 && self.plausible.load(Ordering::Relaxed) == 0
    }
}

/// The stream that callers poll. Its last item is a finish or an error.
pub(super) struct AnswerStream {
    inner: ChatStream,
    frames: Arc<FrameWatch>,
    frames_seen: u32,
    wire: Wire,
    /// The ending: at most usage and one more.
    ending: VecDeque<Result<ModelEvent, ModelError>>,
    ended: bool,
    has_text: bool,
}

impl AnswerStream {
    pub fn new(inner: ChatStream, frames: Arc<FrameWatch>, wire: Wire) -> Self {
        Self { inner, frames, frames_seen: 0, wire, ending: VecDeque::new(), ended: false, has_text: false }
    }

    fn end_with(&mut self, item: Result<ModelEvent, ModelError>) {
        self.ended = true;
        self.ending.push_back(item);
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
                self.end(end);
                None
            }
        }
    }

    /// What the provider says at the end. Some adapters make up such an end when the connection closes; theirs has no
    /// reason in it.
    fn end(&mut self, end: StreamEnd) {
        let Some(reason) = end.captured_stop_reason.map(finish_reason) else { return self.break_off() };
        if let Some(usage) = end.captured_usage {
            let tokens = |count: Option<i32>| count.and_then(|count| u64::try_from(count).ok()).unwrap_or(0);
            let usage = Usage::new(tokens(usage.prompt_tokens), tokens(usage.completion_tokens));
            self.ending.push_back(Ok(ModelEvent::Usage(usage)));
        }
        let is_empty = !self.has_text && matches!(reason, FinishReason::Stop | FinishReason::Other(_));
        self.end_with(if is_empty {
            Err(ModelError::new(
                ErrorClass::Empty,
                format!("The model's answer is empty (it ended with: {reason})"),
            ))
        } else {
            Ok(ModelEvent::Finish(reason))
        });
    }

    /// The stream stopped without having said why.
    fn break_off(&mut self) {
        let reported = self.frames.error.lock().unwrap_or_else(PoisonError::into_inner).take();
        let error = if let Some(body) = reported {
            self.wire.reported(&serde_json::from_str(&body).unwrap_or(serde_json::Value::String(body)))
        } else if self.frames.is_another_document() {
            self.wire.not_a_model()
        } else {
            ModelError::new(ErrorClass::Truncated, "The answer broke off before its end")
        };
        self.end_with(Err(error));
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
            // `genai` logs what providers answer, errors in full; a provider's error may repeat the key. We log failures
            // ourselves, without it.
            let polled =
                dispatcher::with_default(&Dispatch::none(), || Pin::new(&mut this.inner).poll_next(context));
            match polled {
                Poll::Ready(Some(Ok(event))) => {
                    if let Some(event) = this.event(event) {
                        this.frames_seen = this.frames.frames.load(Ordering::Relaxed);
                        return Poll::Ready(Some(Ok(event)));
                    }
                }
                Poll::Ready(Some(Err(error))) => {
                    let error = match &error {
                        genai::Error::StreamParse { .. } if this.frames.is_another_document() => {
                            this.wire.not_a_model()
                        }
                        other => this.wire.classify(other),
                    };
                    this.end_with(Err(error));
                }
                Poll::Ready(None) => this.break_off(),
                Poll::Pending => {
                    // Something came that made no event; that too ends a silence.
                    let frames = this.frames.frames.load(Ordering::Relaxed);
                    if frames == this.frames_seen {
                        return Poll::Pending;
                    }
                    this.frames_seen = frames;
                    return Poll::Ready(Some(Ok(ModelEvent::Alive)));
                }
            }
        }
    }
}

fn finish_reason(reason: StopReason) -> FinishReason {
    match reason {
        StopReason::Completed(_) | StopReason::StopSequence(_) => FinishReason::Stop,
        StopReason::MaxTokens(_) => FinishReason::Length,
        StopReason::ToolCall(_) => FinishReason::ToolCalls,
        StopReason::ContentFilter(_) => FinishReason::ContentFilter,
        StopReason::Other(word) => FinishReason::Other(word),
    }
}
