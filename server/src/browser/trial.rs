//! Trying a role in place: its answer as it streams. Nothing is recorded; closing the connection ends the call.

use crate::{
    AppState,
    extract::{Caller, Json, Path},
    problem::Result,
    watch,
};
use axum::{extract::State, response::Response};
use domain::{key::ProjectKey, view::RoleDraft};
use engine::TrialEvent;
use futures::StreamExt;
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trial {
    /// The role as it stands in the editor.
    draft: RoleDraft,
    message: String,
}

/// Events with `{text}`, then one with `{usage}` or `{error: {class, message}}`.
pub async fn trial(
    State(state): State<AppState>,
    Path(project): Path<ProjectKey>,
    Caller(user): Caller,
    Json(trial): Json<Trial>,
) -> Result<Response> {
    let answer = state.engine.try_role(&user, &project, trial.draft, trial.message).await?;
    let events = answer
        .map(|event| match event {
            TrialEvent::Text(text) => watch::event(&json!({ "text": text })),
            TrialEvent::Finished(usage) => watch::event(&json!({ "usage": usage })),
            TrialEvent::Failed(failure) => watch::event(&json!({ "error": failure })),
        })
        .take_until(state.stopping.clone().cancelled_owned());
    Ok(watch::answer(events))
}
