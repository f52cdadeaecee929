//! A person's answer to a step that waits for them.

use super::mailbox::{Command, Decided, has_ended};
use crate::{Engine, Error, Result, User};
use domain::{
    access::Permission,
    event::Decision,
    id::{RunNumber, StepRunId},
    key::ProjectKey,
    view::RunDetail,
};
use serde::Deserialize;
use serde_json::Value;
use std::time::Duration;
use tokio::{sync::oneshot, time::timeout};

/// How long an answer may take until it is stored.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);
/// How long a note may be, in bytes.
const NOTE_LIMIT: usize = 10_000;

/// A person's answer to a step that waits.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AnswerDraft {
    pub step_run: String,
    pub decision: Decision,
    /// With `edit`: what the step's output is to be.
    #[serde(default)]
    pub output: Option<Value>,
    /// A note, for whoever reads the run.
    #[serde(default)]
    pub text: Option<String>,
}

impl Engine {
    /// Decides about a step that waits. Editors.
    ///
    /// # Errors
    /// `Conflict` when it does not wait (any more): the first answer counts. `Invalid` when an edit has no output, or one
    /// that does not meet the step's schema: the step goes on waiting.
    pub async fn answer(
        &self,
        user: &User,
        project: &ProjectKey,
        run: RunNumber,
        draft: AnswerDraft,
    ) -> Result<RunDetail> {
        let row = self.run_row(user, project, run, Permission::Editor).await?;
        let step: StepRunId = draft.step_run.parse().map_err(|_| {
            Error::invalid("stepRun", "write the id of a step run, such as 3, or 3.14 for an item")
        })?;
        let note = draft.text.unwrap_or_default();
        if note.len() > NOTE_LIMIT {
            return Err(Error::invalid("text", format!("at most {NOTE_LIMIT} bytes")));
        }
        if draft.output.is_some() && draft.decision != Decision::Edit {
            return Err(Error::invalid("output", "give it with the decision 'edit' alone"));
        }
        if row.summary()?.status.is_end() {
            return Err(has_ended(run));
        }
        let decided = Decided { decision: draft.decision, by: user.name.clone(), note, output: draft.output };
        let (reply, answer) = oneshot::channel();
        self.deliver(row.id(), Command::Answer { step, decided, reply });
        match timeout(ANSWER_LIMIT, answer).await {
            Ok(Ok(answered)) => answered?,
            Ok(Err(_)) => {
                return Err(Error::Unavailable("the run could not be reached; try again".to_owned()));
            }
            Err(_) => {
                let why = "the answer could not be stored yet; look again in a while";
                return Err(Error::Unavailable(why.to_owned()));
            }
        }
        self.run(user, project, run).await
    }
}
