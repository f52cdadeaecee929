//! Comparisons of runs: launched together or selected by hand, and judged by people.

use crate::{
    Engine, Error, Launch, Result, Subject as Launched, User, pagination,
    runs::checked_key,
    store::{
        self,
        comparisons::{self as rows, Side, VerdictKey},
        runs,
    },
    to_its_end,
};
use domain::{
    access::Permission,
    comparison::{ComparisonSummary, MOST_COMPARED, Scores, Verdict},
    event::head,
    id::{ProjectId, RunNumber},
    key::{ProjectKey, RoleKey, TemplateKey},
    problem::Problem,
    role::StepRole,
    run::StepState,
    view::{Launched as Acknowledged, Page, RunDetail, Subject},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;

const PAGE: usize = 50;
/// In bytes.
const NOTE_LIMIT: usize = 4_000;
/// How much of a run's input is shown, in bytes.
const INPUT_LINE: usize = 300;
/// The most rows of each kind of total.
const SCORES: u32 = 500;

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VerdictDraft {
    /// Two to four.
    pub runs: Vec<RunNumber>,
    /// None: the verdict is on the whole runs.
    #[serde(default)]
    pub step: Option<String>,
    /// One of the runs; none: a tie.
    pub winner: Option<RunNumber>,
    #[serde(default)]
    pub note: String,
}

impl Engine {
    /// Launches the template once per role assignment, with the same input and in the same conversation: first that of
    /// `launch`, then `others`. Requires editor permission. All launches are checked before the first one starts; a
    /// repeat with the same key launches what is missing. Once begun it continues even if the caller disconnects.
    ///
    /// # Errors
    /// As [`Engine::execute`]; problems of `others` have paths like `others.0.roleAssignments.Draft`.
    pub async fn execute_side_by_side(
        &self,
        user: &User,
        project: &ProjectKey,
        template: &TemplateKey,
        launch: Launch,
        others: Vec<BTreeMap<String, RoleKey>>,
    ) -> Result<Vec<Acknowledged>> {
        let id = self.authorise(user, project, Permission::Editor).await?;
        let key = launch.idempotency_key.as_deref();
        // Earlier launches stand, whatever was changed or deleted since.
        let begun = self.has_begun(id, key).await?;
        if !begun {
            self.permits_template(user, project, template, Permission::Editor).await?;
        }
        if others.is_empty() || others.len() >= MOST_COMPARED {
            let why = format!("give one to {} beside the first", MOST_COMPARED - 1);
            return Err(Error::invalid("others", why));
        }
        key.map(checked_key).transpose()?;
        if !begun {
            self.check_side_by_side(user, project, template, &launch, &others).await?;
        }
        let engine = self.clone();
        let (user, project, template) = (user.clone(), project.clone(), template.clone());
        to_its_end(
            async move { engine.launch_side_by_side(id, user, project, template, launch, others).await },
        )
        .await
    }

    /// Whether the first of the runs was launched under this key.
    async fn has_begun(&self, project: ProjectId, key: Option<&str>) -> Result<bool> {
        let Some(key) = key else { return Ok(false) };
        let first = runs::by_idempotency_key(self.0.store.read(), project, &key_of(key, 0)).await?;
        Ok(first.is_some())
    }

    async fn check_side_by_side(
        &self,
        user: &User,
        project: &ProjectKey,
        template: &TemplateKey,
        launch: &Launch,
        others: &[BTreeMap<String, RoleKey>],
    ) -> Result<()> {
        let mut problems = Vec::new();
        for (place, roles) in std::iter::once(&launch.role_assignments).chain(others).enumerate() {
            let one = Launch { role_assignments: roles.clone(), ..launch.clone() };
            let seen = self.preview(user, project, template, &one).await?;
            let named = |mut problem: Problem| {
                if place > 0 {
                    problem.path = format!("others.{}.{}", place - 1, problem.path);
                }
                problem
            };
            // The input is the same for all, so its problems are reported once.
            let new = seen.errors.into_iter().filter(|one| place == 0 || one.path.starts_with("role"));
            problems.extend(new.map(named));
        }
        if problems.is_empty() { Ok(()) } else { Err(Error::Invalid(problems)) }
    }

    async fn launch_side_by_side(
        self,
        id: ProjectId,
        user: User,
        project: ProjectKey,
        template: TemplateKey,
        mut launch: Launch,
        others: Vec<BTreeMap<String, RoleKey>>,
    ) -> Result<Vec<Acknowledged>> {
        let key = launch.idempotency_key.take();
        // The digest includes all assignments: under the same key, other assignments are a different request.
        let beside = json!([launch.role_assignments, others]);
        let mut launched: Vec<Acknowledged> = Vec::new();
        for (place, roles) in std::iter::once(launch.role_assignments.clone()).chain(others).enumerate() {
            let one = Launch {
                branch: launch.branch,
                replaces: launch.replaces,
                role_assignments: roles,
                task_id: launch.task_id.or_else(|| launched.first().map(|first| first.task_id)),
                idempotency_key: key.as_ref().map(|key| key_of(key, place)),
                input: launch.input.clone(),
            };
            let subject = Launched::Template(template.clone());
            let opened = self.launch(&user, &project, subject, one, Some(&beside), false).await?;
            launched.push(opened.launched);
        }
        let mut runs: Vec<_> = launched.iter().map(|one| one.run).collect();
        runs.sort_unstable();
        let first = self.run(&user, &project, runs[0]).await?;
        self.store_comparison(id, runs, first.summary.template.name, &user).await?;
        Ok(launched)
    }

    /// Stores a comparison of these runs. Requires editor permission. False if it already exists.
    ///
    /// # Errors
    /// `NotFound` for a run that does not exist.
    pub async fn keep_comparison(
        &self,
        user: &User,
        project: &ProjectKey,
        runs: &[RunNumber],
    ) -> Result<bool> {
        let id = self.authorise(user, project, Permission::Editor).await?;
        let runs = compared(runs)?;
        let mut names = Vec::new();
        for run in &runs {
            names.push(self.run(user, project, *run).await?.summary.template.name);
        }
        self.store_comparison(id, runs, names.swap_remove(0), user).await
    }

    /// Stores the comparison. False if it already exists. `template` is the template's name, for lists.
    async fn store_comparison(
        &self,
        project: ProjectId,
        runs: Vec<RunNumber>,
        template: String,
        user: &User,
    ) -> Result<bool> {
        let by = user.name.clone();
        self.0
            .store
            .write(move |tx| {
                Box::pin(async move {
                    let written = rows::written(&runs);
                    let new = rows::insert(tx, project, &written, &template, &by, store::now()).await?;
                    if new {
                        store::change(tx, project, &Subject::Comparison { runs }).await?;
                    }
                    Ok(new)
                })
            })
            .await
    }

    /// The members' verdicts on these runs, oldest first.
    pub async fn verdicts(
        &self,
        user: &User,
        project: &ProjectKey,
        runs: &[RunNumber],
    ) -> Result<Vec<Verdict>> {
        let id = self.authorise(user, project, Permission::Viewer).await?;
        let runs = rows::written(&compared(runs)?);
        rows::verdicts(self.0.store.read(), id, &runs, user.id).await
    }

    /// Stores the user's verdict in place of an earlier one. Requires editor permission.
    ///
    /// # Errors
    /// `Invalid` for a winner or a step that the runs do not have.
    pub async fn judge(&self, user: &User, project: &ProjectKey, draft: VerdictDraft) -> Result<()> {
        let id = self.authorise(user, project, Permission::Editor).await?;
        let mut details = Vec::new();
        let runs = compared(&draft.runs)?;
        for run in &runs {
            details.push(self.run(user, project, *run).await?);
        }
        let note = draft.note.trim().to_owned();
        if note.len() > NOTE_LIMIT {
            return Err(Error::invalid("note", format!("at most {NOTE_LIMIT} bytes")));
        }
        if draft.winner.is_some_and(|winner| !runs.contains(&winner)) {
            return Err(Error::invalid("winner", "is none of the runs"));
        }
        let sides = sides(&details, draft.step.as_deref(), draft.winner);
        if let Some(step) = draft.step.as_deref().filter(|_| sides.is_empty()) {
            return Err(Error::invalid("step", format!("none of the runs has a step named '{step}'")));
        }
        let verdict = Verdict {
            step: draft.step,
            winner: draft.winner,
            note,
            by: user.name.clone(),
            mine: true,
            at: store::now(),
        };
        let (name, user) = (details.swap_remove(0).summary.template.name, user.id);
        self.0
            .store
            .write(move |tx| {
                Box::pin(async move {
                    let written = rows::written(&runs);
                    rows::insert(tx, id, &written, &name, &verdict.by, verdict.at).await?;
                    let step = verdict.step.as_deref().unwrap_or_default();
                    let key = VerdictKey { project: id, runs: &written, step, user };
                    rows::judge(tx, &key, &verdict, &sides).await?;
                    store::change(tx, id, &Subject::Comparison { runs }).await
                })
            })
            .await
    }

    /// Deletes the user's own verdict. Requires editor permission. `NotFound` if there is none.
    pub async fn withdraw_verdict(
        &self,
        user: &User,
        project: &ProjectKey,
        runs: &[RunNumber],
        step: Option<String>,
    ) -> Result<()> {
        let id = self.authorise(user, project, Permission::Editor).await?;
        let (runs, user) = (compared(runs)?, user.id);
        self.0
            .store
            .write(move |tx| {
                Box::pin(async move {
                    let (written, step) = (rows::written(&runs), step.unwrap_or_default());
                    let key = VerdictKey { project: id, runs: &written, step: &step, user };
                    if !rows::withdraw(tx, &key).await? {
                        return Err(Error::not_found("verdict on", &step));
                    }
                    store::change(tx, id, &Subject::Comparison { runs }).await
                })
            })
            .await
    }

    /// The comparisons, newest first. Page size 50.
    pub async fn comparisons(
        &self,
        user: &User,
        project: &ProjectKey,
        cursor: Option<&str>,
    ) -> Result<Page<ComparisonSummary>> {
        let id = self.authorise(user, project, Permission::Viewer).await?;
        let before = pagination::after(cursor, (i64::MAX, String::new()))?;
        let found = rows::list(self.0.store.read(), id, before, PAGE as u32 + 1).await?;
        pagination::page(found, PAGE, |one| (one.created_at.0, rows::written(&one.runs)), Ok)
    }

    /// The inputs of the runs, one line each, in the order of `runs`.
    pub async fn input_lines(
        &self,
        user: &User,
        project: &ProjectKey,
        runs: &[RunNumber],
    ) -> Result<Vec<String>> {
        let id = self.authorise(user, project, Permission::Viewer).await?;
        let db = self.0.store.read();
        let mut lines = Vec::with_capacity(runs.len());
        for &run in runs {
            let row = runs::by_number(db, id, run).await?.ok_or_else(|| Error::not_found("run", run))?;
            let line = runs::input_line(db, row.id(), row.snapshot.input).await?;
            let words: Vec<_> = line.split_whitespace().collect();
            lines.push(head(&words.join(" "), INPUT_LINE).to_owned());
        }
        Ok(lines)
    }

    /// The totals of all verdicts, of one template or of all.
    pub async fn scores(
        &self,
        user: &User,
        project: &ProjectKey,
        template: Option<&TemplateKey>,
    ) -> Result<Scores> {
        let id = self.authorise(user, project, Permission::Viewer).await?;
        rows::scores(self.0.store.read(), id, template, SCORES).await
    }
}

/// The idempotency key of one of the runs that are launched under `key`.
fn key_of(key: &str, place: usize) -> String {
    format!("{key}#{place}")
}

/// The runs of a comparison in stored order.
fn compared(runs: &[RunNumber]) -> Result<Vec<RunNumber>> {
    let mut runs = runs.to_vec();
    runs.sort_unstable();
    runs.dedup();
    if (2..=MOST_COMPARED).contains(&runs.len()) {
        Ok(runs)
    } else {
        Err(Error::invalid("runs", format!("give two to {MOST_COMPARED} runs")))
    }
}

/// A verdict's outcome for each of the runs.
fn sides(runs: &[RunDetail], step: Option<&str>, winner: Option<RunNumber>) -> Vec<Side> {
    let mut sides = Vec::new();
    for run in runs {
        let outcome = match winner {
            None => "same",
            Some(winner) if winner == run.summary.number => "won",
            Some(_) => "lost",
        };
        let side = |at_step: &str| {
            let role = role_at(run, at_step);
            let origin = step_at(run, at_step).and_then(|step| step.origin.as_ref());
            Side {
                run: run.summary.number,
                at_step: at_step.to_owned(),
                template: run.summary.template.key.clone(),
                version: origin.map_or(run.summary.template.version, |origin| origin.version),
                role: role.map(|role| role.key.to_string()),
                model: role.map(|role| role.model.to_string()),
                outcome,
            }
        };
        let names = run.state.plan.steps.iter().map(|planned| planned.name.as_str());
        match step {
            Some(step) => sides.extend(names.into_iter().find(|name| *name == step).map(side)),
            None => {
                sides.push(side(""));
                sides.extend(names.filter(|name| differ(runs, name)).map(side));
            }
        }
    }
    sides
}

/// Whether the runs had different roles in the step.
fn differ(runs: &[RunDetail], step: &str) -> bool {
    let keys: Vec<_> = runs.iter().filter_map(|run| role_at(run, step).map(|role| &role.key)).collect();
    keys.len() == runs.len() && keys.windows(2).any(|pair| pair[0] != pair[1])
}

/// The role that made the step's output, in this run or in the run from which the output was reused.
fn role_at<'r>(run: &'r RunDetail, step: &str) -> Option<&'r StepRole> {
    step_at(run, step)?.maker()
}

fn step_at<'r>(run: &'r RunDetail, step: &str) -> Option<&'r StepState> {
    let place = run.state.plan.steps.iter().position(|planned| planned.name == step)?;
    run.state.steps.get(place)
}
