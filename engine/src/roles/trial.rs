//! Trying a role: sends one message to its model and streams the answer. Nothing is recorded.

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

/// The longest message to a tried role, in bytes.
const MAX_MESSAGE: usize = 100_000;
/// A model that sends nothing for this long has stalled, as in runs.
const SILENCE: Duration = Duration::from_secs(120);

/// The events of a trial. The last one is `Finished` or `Failed`; a `Warning` comes before `Finished`.
#[derive(Clone, Debug)]
pub enum TrialEvent {
    Text(String),
    /// What a person should know about a successful answer.
    Warning(String),
    Finished(Usage),
    Failed(Failure),
}

impl Engine {
    /// Sends one message to a role as drafted, whether stored or not; nothing is recorded. Dropping the stream ends the
    /// call. Requires editor permission, because the call costs money.
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

    /// Every model that the providers currently offer, as `provider/model`, and the providers that failed to answer.
    /// Requires editor permission in a project.
    pub async fn offered_models(&self, user: &User) -> Result<(Vec<ModelName>, Vec<(ProviderKey, String)>)> {
        self.permits_calls(user).await?;
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
        match slot.watch(resolved.client).stream(request).await {
            Err(error) => failed(failure(error)),
            Ok(answer) => {
                let mut usage = Usage::default();
                // A timeout is an item of its own, and the last one.
                tokio_stream::StreamExt::timeout(answer, SILENCE)
                    .map(|item| {
                        item.unwrap_or_else(|_| {
                            let message = format!("The model said nothing for {} seconds", SILENCE.as_secs());
                            Err(ModelError::new(ErrorClass::Timeout, message))
                        })
                    })
                    .flat_map(move |item| {
                        // The slot is released when the stream is dropped.
                        let _held = &slot;
                        stream::iter(match item {
                            Ok(ModelEvent::Text(text)) => vec![TrialEvent::Text(text)],
                            Ok(ModelEvent::Usage(used)) => {
                                usage = used;
                                Vec::new()
                            }
                            Ok(ModelEvent::Finish(reason)) => ended(reason, usage),
                            Ok(ModelEvent::Reasoning(_) | ModelEvent::Alive) => Vec::new(),
                            Err(error) => vec![TrialEvent::Failed(failure(error))],
                        })
                    })
                    .scan(false, |ended, event| {
                        let event = (!*ended).then_some(event);
                        *ended = !matches!(event, Some(TrialEvent::Text(_) | TrialEvent::Warning(_)));
                        std::future::ready(event)
                    })
                    .boxed()
            }
        }
    }
}

/// The last events of a trial. Finish reasons mean the same as in a run (see `models/finish.rs`).
fn ended(reason: FinishReason, usage: Usage) -> Vec<TrialEvent> {
    let warning = match reason {
        FinishReason::Stop => None,
        FinishReason::Length => Some("The answer stopped at its token limit and may be cut off".to_owned()),
        FinishReason::Unknown(word) => Some(format!(
            "The answer ended with the unknown finish reason '{word}' and was taken as complete"
        )),
        FinishReason::ToolCalls => {
            let message = "The model asked for tools instead of answering";
            return vec![TrialEvent::Failed(Failure::new(ErrorClass::InvalidOutput, message))];
        }
    };
    let warning = warning.map(TrialEvent::Warning);
    warning.into_iter().chain([TrialEvent::Finished(usage)]).collect()
}

fn failure(error: ModelError) -> Failure {
    Failure::new(error.class, error.message)
}
