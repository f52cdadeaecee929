//! Tries a role from the editor and streams the answer. Nothing is stored; closing the connection cancels the call.

use crate::{
    AppState,
    extract::{Body, Caller, Path, behind},
    guard::Credential,
    problem::Result,
    watch,
};
use axum::{Extension, extract::State, response::Response};
use domain::{access::Permission, key::ProjectKey, view::RoleDraft};
use engine::TrialEvent;
use futures::StreamExt;
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trial {
    /// The role with the editor's unsaved changes.
    draft: RoleDraft,
    message: String,
}

/// Streams events with `{text}`, optionally one with `{warning}`, then one with `{usage}` or `{error: {class,
/// message}}`.
pub async fn trial(
    State(state): State<AppState>,
    Path(project): Path<ProjectKey>,
    Caller(user): Caller,
    Extension(credential): Extension<Credential>,
    body: Body,
) -> Result<Response> {
    let gate = state.engine.permits(&user, &project, Permission::Editor);
    let trial: Trial = behind(gate, body.json()).await?;
    let seat = state.engine.take_seat(&user, &credential.id())?;
    let answer = state.engine.try_role(&user, &project, trial.draft, trial.message).await?;
    let events = answer
        .map(move |event| {
            let _open = &seat;
            event
        })
        .map(|event| match event {
            TrialEvent::Text(text) => watch::event(&json!({ "text": text })),
            TrialEvent::Warning(warning) => watch::event(&json!({ "warning": warning })),
            TrialEvent::Finished(usage) => watch::event(&json!({ "usage": usage })),
            TrialEvent::Failed(failure) => watch::event(&json!({ "error": failure })),
        })
        .take_until(state.stopping.clone().cancelled_owned());
    Ok(watch::answer(events))
}
