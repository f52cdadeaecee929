//! Trying a role: one message to its model, streamed, and nothing recorded.

use crate::{
    Engine, Error, Result, User,
    models::{FinishReason, ModelError, ModelEvent, ModelRequest},
};
use domain::{
    access::Permission,
    error::ErrorClass,
    event::Failure,
    key::{ModelName, ProjectKey, ProviderKey},
    usage::Usage,
    view::RoleDraft,
};
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use std::time::Duration;

/// Bytes of the message to a role on trial.
const MAX_MESSAGE: usize = 100_000;
/// A model that says nothing for so long has gone, as in runs.
const SILENCE: Duration = Duration::from_secs(120);

/// What trying a role streams. The last one is `Finished` or `Failed`.
#[derive(Clone, Debug)]
pub enum TrialEvent {
    Text(String),
    Finished(Usage),
    Failed(Failure),
}

impl Engine {
    /// Sends one message to a role as drafted, stored or not; nothing is recorded. Dropping the stream ends the call.
    /// Editors, because it costs.
    pub async fn try_role(
        &self,
        user: &User,
        project: &ProjectKey,
        draft: RoleDraft,
        message: String,
    ) -> Result<BoxStream<'static, TrialEvent>> {
        self.authorise(user, project, Permission::Editor).await?;
        let draft = super::checked(draft)?;
        if message.trim().is_empty() {
            return Err(Error::invalid("message", "must not be empty"));
        }
        if message.len() > MAX_MESSAGE {
            return Err(Error::invalid("message", format!("has at most {MAX_MESSAGE} bytes")));
        }
        let engine = self.clone();
        Ok(stream::once(engine.trial(draft, message)).flatten().boxed())
    }

    /// Every model that the providers offer just now, as `provider/model`, with the providers that failed to answer.
    pub async fn offered_models(&self, _user: &User) -> Result<(Vec<ModelName>, Vec<(ProviderKey, String)>)> {
        Ok(self.0.models.offered().await)
    }

    async fn trial(self, draft: RoleDraft, message: String) -> BoxStream<'static, TrialEvent> {
        let failed = |failure| stream::once(async { TrialEvent::Failed(failure) }).boxed();
        let resolved = match self.0.models.resolve(&draft.model).await {
            Ok(resolved) => resolved,
            Err(failure) => return failed(failure),
        };
        let request = ModelRequest {
            system: Some(draft.base_prompt).filter(|prompt| !prompt.trim().is_empty()),
            temperature: draft.temperature,
            max_tokens: draft.max_tokens,
            ..ModelRequest::new(resolved.model, message)
        };
        let slot = resolved.limits.acquire().await;
        match resolved.client.stream(request).await {
            Err(error) => failed(failure(error)),
            Ok(answer) => {
                let mut usage = Usage::default();
                let mut wrote = false;
                // Silence is an item of its own, and the last one.
                tokio_stream::StreamExt::timeout(answer, SILENCE)
                    .map(|item| {
                        item.unwrap_or_else(|_| {
                            let message = format!("The model said nothing for {} seconds", SILENCE.as_secs());
                            Err(ModelError::new(ErrorClass::Timeout, message))
                        })
                    })
                    .filter_map(move |item| {
                        // The slot goes back when the stream is dropped.
                        let _held = &slot;
                        std::future::ready(match item {
                            Ok(ModelEvent::Text(text)) => {
                                wrote = true;
                                Some(TrialEvent::Text(text))
                            }
                            Ok(ModelEvent::Usage(used)) => {
                                usage = used;
                                None
                            }
                            Ok(ModelEvent::Finish(reason)) => Some(ended(&reason, wrote, usage)),
                            Ok(ModelEvent::Reasoning(_) | ModelEvent::Alive) => None,
                            Err(error) => Some(TrialEvent::Failed(failure(error))),
                        })
                    })
                    .scan(false, |ended, event| {
                        let event = (!*ended).then_some(event);
                        *ended = !matches!(event, Some(TrialEvent::Text(_)));
                        std::future::ready(event)
                    })
                    .boxed()
            }
        }
    }
}

/// A trial that was cut off by its limit on tokens has shown what it was to show.
fn ended(reason: &FinishReason, wrote: bool, usage: Usage) -> TrialEvent {
    match reason {
        FinishReason::ContentFilter => {
            TrialEvent::Failed(Failure::new(ErrorClass::Refused, "The provider withheld the answer"))
        }
        FinishReason::ToolCalls if !wrote => TrialEvent::Failed(Failure::new(
            ErrorClass::InvalidOutput,
            "The model asked for tools instead of answering",
        )),
        _ => TrialEvent::Finished(usage),
    }
}

fn failure(error: ModelError) -> Failure {
    Failure::new(error.class, error.message)
}
