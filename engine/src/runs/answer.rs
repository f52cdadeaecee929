//! A person's answer to a step that waits for them.

use super::{
    mailbox::{Decided, has_ended},
    requests::Request,
};
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

/// The longest note, in bytes.
const NOTE_LIMIT: usize = 10_000;

/// A person's answer to a step that waits.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AnswerDraft {
    pub step_run: String,
    pub decision: Decision,
    /// With `edit`: the step's output.
    #[serde(default)]
    pub output: Option<Value>,
    /// A note for readers of the run.
    #[serde(default)]
    pub text: Option<String>,
}

impl Engine {
    /// Decides a step that waits for a person. Requires editor permission.
    ///
    /// # Errors
    /// `Conflict` if the step does not wait: the first answer counts. `Invalid` if an edit has no output, or one that
    /// does not meet the step's schema: the step keeps waiting.
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
        // A step that waits with its child run is answered in the child run.
        let state = self.state_of(&row).await?;
        let asked = state.step_run(step).and_then(|run| run.child_question.as_ref());
        let (asking, number, step) = match asked {
            Some(asked) => {
                let child = self.run_row(user, project, asked.run, Permission::Editor).await?;
                (child.id(), asked.run, asked.step)
            }
            None => (row.id(), run, step),
        };
        let decided = Decided { decision: draft.decision, by: user.name.clone(), note, output: draft.output };
        let late = "the answer could not be stored yet; look again in a while";
        self.ask(asking, number, &Request::Answer { step, decided }, late).await?;
        self.run(user, project, run).await
    }
}
