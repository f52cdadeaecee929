//! Launching: everything is settled and checked first, then stored in one transaction, then acknowledged.

use super::{
    Launch, Subject,
    conductor::{Conductor, Mailbox, Report},
    load::EARLIER,
    recipe::{ASK, Recipe},
    turn::{Turn, is_unique_violation},
};
use crate::{
    Engine, Error, Result, User,
    store::{
        self, messages,
        runs::{self, NewRun, RunRow, Snapshot},
        versions::{self, RoleVersion},
    },
};
use domain::{
    access::Permission,
    event::{EventKind, TemplateVersion, head},
    id::{EventId, MessageId, ProjectId, RunId, RunNumber, TaskId, TemplateId},
    key::{ProjectKey, TemplateKey},
    problem::Problem,
    role::{Candidate, ResolveError, StepRole, fallback_warning, resolve},
    run::{Planner, RunState},
    schema, template,
    view::{LaunchPreview, Launched, RolePreview, StepPreview},
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write,
    sync::Arc,
};
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

/// The largest input, in bytes of its JSON.
const INPUT_LIMIT: usize = 8 * 1024 * 1024;
/// How much of each input field the user's message repeats, in bytes.
const SHOWN_FIELD: usize = 4 * 1024;
const TITLE_LIMIT: usize = 80;
const IDEMPOTENCY_KEY_LIMIT: usize = 200;
/// How many of the steps that begin a run are asked how long their queue is.
const FIRST_STEPS: usize = 20;

/// A launch that passed every check.
struct Settled {
    project: ProjectId,
    template_id: Option<TemplateId>,
    version: TemplateVersion,
    recipe: Arc<Recipe>,
    roles: Vec<StepRole>,
    role_versions: BTreeMap<u32, Arc<RoleVersion>>,
    input: Value,
}

impl Engine {
    pub(super) async fn preview_launch(
        &self,
        user: &User,
        project: &ProjectKey,
        key: &TemplateKey,
        launch: &Launch,
    ) -> Result<LaunchPreview> {
        let project = self.authorise(user, project, Permission::Viewer).await?;
        let (_, _, recipe) = self.subject(project, &Subject::Template(key.clone())).await?;
        let mut errors = input_problems(&recipe, &launch.input);
        errors.extend(unsupported(&recipe));
        let roles = versions::roles(self.0.store.read(), project).await?;
        let resolved = match resolve(&recipe.plan, &candidates(&roles), &launch.role_assignments) {
            Ok(resolved) => resolved,
            Err(refused) => {
                errors.extend(role_problems(&refused));
                // What it would be without the assignments that cannot be met.
                let mut known = launch.role_assignments.clone();
                known.retain(|_, role| roles.iter().any(|version| &version.key == role));
                known.retain(|step, _| recipe.plan.position(step).is_some());
                resolve(&recipe.plan, &candidates(&roles), &known).unwrap_or_default()
            }
        };
        let warnings = resolved.iter().filter_map(|role| {
            fallback_warning(&recipe.plan.steps[role.step as usize].name, &role.key, role.reason)
        });
        let warnings = warnings.collect();
        let mut by_step: HashMap<u32, StepRole> =
            resolved.into_iter().map(|role| (role.step, role)).collect();
        let steps = recipe.plan.steps.iter().enumerate().map(|(index, step)| StepPreview {
            name: step.name.clone(),
            role: by_step.remove(&(index as u32)).map(|role| RolePreview {
                key: role.key,
                version: role.version,
                model: role.model,
                reason: role.reason,
            }),
        });
        Ok(LaunchPreview { steps: steps.collect(), warnings, errors })
    }

    pub(super) async fn launch(
        &self,
        user: &User,
        project_key: &ProjectKey,
        subject: Subject,
        mut launch: Launch,
    ) -> Result<Launched> {
        let project = self.authorise(user, project_key, Permission::Editor).await?;
        if let Subject::Ask(text) = &subject {
            if text.trim().is_empty() {
                return Err(Error::invalid("text", "there is nothing in it"));
            }
            launch.input = json!({ "question": text });
        }
        let digest = request_digest(&subject, &launch)?;
        let idempotency = launch.idempotency_key.clone().map(|key| (key, digest));
        if let Some((key, digest)) = &idempotency {
            if key.is_empty() || key.len() > IDEMPOTENCY_KEY_LIMIT {
                return Err(Error::invalid("idempotencyKey", format!("1 to {IDEMPOTENCY_KEY_LIMIT} bytes")));
            }
            // Before anything is checked: a repeat gets the first answer, whatever was changed or deleted since.
            let earlier = runs::by_idempotency_key(self.0.store.read(), project, key).await?;
            if let Some((row, earlier)) = earlier {
                return self.launched_before(same_launch(&row, key, digest, &earlier)?).await;
            }
        }
        let settled = self.settle(project, &subject, &launch).await?;
        let (mail, mailbox) = mpsc::unbounded_channel();
        let (conductor, new, content) =
            self.begin(user, &settled, &subject, &launch, idempotency, mail.clone()).await?;
        let title = title(&subject, &settled.recipe.template.name, &settled.input);
        let fresh = Fresh { conductor, new, content, title, task: launch.task_id, roles: settled.roles };
        // In a task of its own: a caller who hangs up half-way must not leave a run that is stored and not conducted.
        let run = fresh.new.id;
        let stored = self.0.runs.tasks.spawn(self.clone().store_launch(fresh, mail, mailbox)).await;
        stored.unwrap_or_else(|error| {
            self.0.runs.forget(run);
            Err(Error::internal(error))
        })
    }

    /// Plans the run, stores it, acknowledges it and lets it go.
    async fn store_launch(
        self,
        fresh: Fresh,
        mail: mpsc::UnboundedSender<Report>,
        mailbox: Mailbox,
    ) -> Result<Launched> {
        let Fresh { mut conductor, new, content, title, task, roles } = fresh;
        let mut turn = Turn::new(new.at);
        let event_id = EventId(store::mint());
        let queue_position = self.queue_position(&conductor).await;
        conductor.record(&mut turn, EventKind::Acknowledged { event_id, queue_position });
        conductor.submit(&mut turn, &new, roles)?;
        conductor.plan(&mut turn).await;
        let mut append = conductor.append(0, true, &mut turn);
        // The message is made with it.
        let metadata = append.metadata.take().unwrap_or_else(|| Arc::new(conductor.state().into()));
        let events = append.events.clone();
        let (run, message, user_message, at) = (new.id, new.message, new.snapshot.message, new.at);
        let (task_id, user_id) = (new.task, new.user);
        // Registered before it is stored: who reads of it may reach it at once.
        self.0.runs.register(run, mail);
        let stored = self
            .0
            .store
            .write(move |tx| {
                Box::pin(async move {
                    // Again: another launch may have come in between.
                    if let Some((key, digest)) = &new.idempotency
                        && let Some((row, earlier)) =
                            runs::by_idempotency_key(&mut *tx, new.project, key).await?
                    {
                        return same_launch(&row, key, digest, &earlier).map(Stored::Before);
                    }
                    match task {
                        None => messages::insert_task(tx, task_id, new.project, &title, at).await?,
                        Some(id) => {
                            if !messages::touch_task(tx, id, new.project, at).await? {
                                return Err(Error::not_found("conversation", id));
                            }
                        }
                    }
                    let number = runs::next_number(tx, new.project).await?;
                    messages::insert_user(tx, user_message, task_id, user_id, &content, at).await?;
                    messages::insert_assistant(tx, message, task_id, run, &metadata, at).await?;
                    runs::insert(tx, &new, number).await?;
                    if let Some(domain::view::Subject::Run { number: shown, .. }) = &mut append.subject {
                        *shown = number;
                    }
                    append.write(tx).await?;
                    Ok(Stored::Now(number))
                })
            })
            .await;
        if !matches!(stored, Ok(Stored::Now(_))) {
            self.0.runs.forget(run);
        }
        match stored {
            Ok(Stored::Now(number)) => {
                conductor.number = number;
                conductor.channel.committed(&events);
                conductor.carry_out(turn);
                self.look_after(run, async move { Ok(conductor.conduct(mailbox).await) });
                Ok(Launched { run: number, message_id: message, task_id, event_id, queue_position })
            }
            Ok(Stored::Before(run)) => self.launched_before(run).await,
            Err(error) if is_unique_violation(&error) => {
                Err(Error::Conflict("two launches met; give it again".to_owned()))
            }
            Err(error) => Err(error),
        }
    }

    /// Where the run's first call stands in its provider's queue; 0 when one of its first steps starts at once.
    async fn queue_position(&self, conductor: &Conductor) -> u32 {
        let steps = conductor.recipe.plan.steps.iter().zip(0u32..);
        let first = steps.filter(|(step, _)| step.depends_on.is_empty()).take(FIRST_STEPS);
        let mut best: Option<u32> = None;
        for (_, step) in first {
            let Some(role) = conductor.roles.get(&step) else { continue };
            let Ok(resolved) = self.0.models.resolve(&role.model).await else { continue };
            let position = resolved.limits.next_position() as u32;
            best = Some(best.map_or(position, |best| best.min(position)));
            if position == 0 {
                break;
            }
        }
        best.unwrap_or(0)
    }

    /// The template to run: stored, or built in.
    async fn subject(
        &self,
        project: ProjectId,
        subject: &Subject,
    ) -> Result<(Option<TemplateId>, u32, Arc<Recipe>)> {
        match subject {
            Subject::Ask(_) => Ok((None, 1, self.recipe(None, 1).await?)),
            Subject::Template(key) if key.as_ref() == ASK => Ok((None, 1, self.recipe(None, 1).await?)),
            Subject::Template(key) => {
                let newest = versions::newest_template(self.0.store.read(), project, key).await?;
                let (id, version) = newest.ok_or_else(|| Error::not_found("template", key))?;
                Ok((Some(id), version, self.recipe(Some(id), version).await?))
            }
        }
    }

    async fn settle(&self, project: ProjectId, subject: &Subject, launch: &Launch) -> Result<Settled> {
        let (template_id, version, recipe) = self.subject(project, subject).await?;
        let mut problems = unsupported(&recipe);
        problems.extend(input_problems(&recipe, &launch.input));
        let all = versions::roles(self.0.store.read(), project).await?;
        let resolved = resolve(&recipe.plan, &candidates(&all), &launch.role_assignments);
        if let Err(refused) = &resolved {
            problems.extend(role_problems(refused));
        }
        let (true, Ok(roles)) = (problems.is_empty(), resolved) else { return Err(Error::Invalid(problems)) };
        let by_key: HashMap<_, _> = all.into_iter().map(|role| (role.key.clone(), Arc::new(role))).collect();
        let role_versions =
            roles.iter().filter_map(|role| Some((role.step, by_key.get(&role.key)?.clone()))).collect();
        let name = recipe.template.name.clone();
        let version = TemplateVersion { key: recipe.template.key.clone(), version, name };
        let input = if launch.input.is_null() { json!({}) } else { launch.input.clone() };
        Ok(Settled { project, template_id, version, recipe, roles, role_versions, input })
    }

    /// The conductor of a run that is not stored yet, its row, and the user's message.
    async fn begin(
        &self,
        user: &User,
        settled: &Settled,
        subject: &Subject,
        launch: &Launch,
        idempotency: Option<(String, Vec<u8>)>,
        mail: mpsc::UnboundedSender<Report>,
    ) -> Result<(Conductor, NewRun, String)> {
        let user_message = MessageId(store::mint());
        let (run, message) = (RunId(store::mint()), MessageId(store::mint()));
        let task = launch.task_id.unwrap_or_else(|| TaskId(store::mint()));
        let earlier = if settled.recipe.reads_conversation && launch.task_id.is_some() {
            messages::earlier(self.0.store.read(), task, user_message, EARLIER).await?
        } else {
            Vec::new()
        };
        let roles =
            settled.role_versions.iter().map(|(step, role)| (*step, (role.id, role.version))).collect();
        let snapshot = Snapshot {
            input: domain::id::ContentId(store::mint()),
            role_assignments: launch.role_assignments.clone(),
            roles,
            message: user_message,
        };
        let new = NewRun {
            id: run,
            project: settled.project,
            template_id: settled.template_id,
            template: settled.version.clone(),
            task,
            message,
            user: user.id,
            by: user.name.clone(),
            snapshot,
            idempotency,
            at: store::now(),
        };
        let content = match subject {
            Subject::Ask(text) => text.clone(),
            Subject::Template(_) => describe(&settled.version, &settled.input),
        };
        let conductor = Conductor {
            engine: self.clone(),
            run,
            number: RunNumber(0),
            project: settled.project,
            task,
            message,
            recipe: settled.recipe.clone(),
            roles: settled.role_versions.clone(),
            input: settled.input.clone(),
            conversation: serde_json::to_value(&earlier).map_err(Error::internal)?,
            earlier,
            outputs: BTreeMap::new(),
            mapped: BTreeMap::new(),
            planner: Planner::new(RunState::default()),
            channel: self.0.live.channel(run),
            mail,
            open: HashMap::new(),
            metadata_at: Instant::now(),
            metadata_stale: false,
            ended: CancellationToken::new(),
        };
        Ok((conductor, new, content))
    }

    /// The acknowledgement of a launch that was made before.
    async fn launched_before(&self, run: RunId) -> Result<Launched> {
        let db = self.0.store.read();
        let row = runs::by_id(db, run).await?.ok_or_else(|| Error::not_found("run", run))?;
        let summary = row.summary()?;
        let first = runs::events(db, run, 0, 1).await?.into_iter().next();
        let Some(EventKind::Acknowledged { event_id, queue_position }) = first.map(|event| event.kind) else {
            return Err(Error::internal(format!("run {run} begins with no acknowledgement")));
        };
        Ok(Launched {
            run: summary.number,
            message_id: summary.message,
            task_id: summary.task,
            event_id,
            queue_position,
        })
    }
}

/// A run that is to be stored.
struct Fresh {
    conductor: Conductor,
    new: NewRun,
    /// The user's message.
    content: String,
    /// Of its conversation, if that is new.
    title: String,
    /// The conversation that it is to stand in, if that is there.
    task: Option<TaskId>,
    roles: Vec<StepRole>,
}

/// The run launched before under this key, if it was the same launch.
fn same_launch(row: &RunRow, key: &str, digest: &[u8], earlier: &[u8]) -> Result<RunId> {
    if earlier == digest {
        return Ok(row.id());
    }
    let number = row.summary()?.number;
    Err(Error::Conflict(format!("the idempotency key '{key}' was used for another launch, run {number}")))
}

enum Stored {
    Now(RunNumber),
    Before(RunId),
}

impl Conductor {
    fn submit(&mut self, turn: &mut Turn, new: &NewRun, roles: Vec<StepRole>) -> Result<()> {
        let input = serde_json::to_string(&self.input).map_err(Error::internal)?;
        let reference = domain::event::TextRef::new(new.snapshot.input, &input);
        turn.contents.push((new.snapshot.input, input));
        let (template, plan) = (new.template.clone(), self.recipe.plan.clone());
        let by = new.by.clone();
        self.record(turn, EventKind::Submitted { template, plan, input: reference, by, parent: None });
        self.record(turn, EventKind::RolesResolved { roles });
        Ok(())
    }
}

fn candidates(roles: &[RoleVersion]) -> Vec<Candidate> {
    let candidate = |role: &RoleVersion| Candidate {
        key: role.key.clone(),
        version: role.version,
        model: role.model.clone(),
    };
    roles.iter().map(candidate).collect()
}

fn role_problems(refused: &[ResolveError]) -> Vec<Problem> {
    let problem = |error: &ResolveError| match error {
        ResolveError::NoRoles => Problem::new("", error.to_string()),
        ResolveError::UnknownStep { step, .. } | ResolveError::UnknownRole { step, .. } => {
            Problem::new(format!("roleAssignments.{step}"), error.to_string())
        }
    };
    refused.iter().map(problem).collect()
}

fn unsupported(recipe: &Recipe) -> Vec<Problem> {
    template::unsupported(&recipe.template).map(|why| Problem::new("steps", why)).into_iter().collect()
}

fn input_problems(recipe: &Recipe, input: &Value) -> Vec<Problem> {
    let empty = json!({});
    let input = if input.is_null() { &empty } else { input };
    if input.to_string().len() > INPUT_LIMIT {
        return vec![Problem::new(
            "input",
            format!("the input is larger than {} MB", INPUT_LIMIT / 1024 / 1024),
        )];
    }
    match &recipe.template.input {
        Some(schema) => schema::validate(schema, input),
        None => Vec::new(),
    }
}

/// What the launch asked for, without its idempotency key.
fn request_digest(subject: &Subject, launch: &Launch) -> Result<Vec<u8>> {
    let subject = match subject {
        Subject::Template(key) => json!({ "template": key }),
        Subject::Ask(text) => json!({ "ask": text }),
    };
    let body = json!([subject, launch.input, launch.role_assignments, launch.task_id]);
    Ok(Sha256::digest(serde_json::to_vec(&body).map_err(Error::internal)?).to_vec())
}

fn title(subject: &Subject, template: &str, input: &Value) -> String {
    let text = match subject {
        Subject::Ask(text) => text.as_str(),
        Subject::Template(_) => {
            let first = input.as_object().and_then(|fields| fields.values().find_map(Value::as_str));
            let line = first.map(first_line).unwrap_or_default();
            if line.is_empty() {
                return template.to_owned();
            }
            return format!("{template}: {}", head(line, TITLE_LIMIT));
        }
    };
    let line = head(first_line(text), TITLE_LIMIT);
    if line.is_empty() { "New conversation".to_owned() } else { line.to_owned() }
}

fn first_line(text: &str) -> &str {
    text.trim().lines().next().unwrap_or_default().trim()
}

/// What the user's message says of a launch: the template and what it was given.
fn describe(version: &TemplateVersion, input: &Value) -> String {
    let mut text = format!("Run {} (version {})", version.name, version.version);
    for (name, value) in input.as_object().into_iter().flatten() {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let shown = head(&value, SHOWN_FIELD);
        let rest = value.len() - shown.len();
        let fence = if value.contains("```") { "~~~~" } else { "```" };
        // Writing to a String does not fail.
        _ = write!(text, "\n\n{name}:\n\n{fence}\n{shown}\n{fence}");
        if rest > 0 {
            _ = write!(text, "\n\n({rest} more bytes)");
        }
    }
    text
}
