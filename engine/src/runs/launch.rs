//! Launching: everything is settled and checked first, then stored in one transaction, then acknowledged.

use super::{
    Launch, Subject,
    branch::Place,
    child::CallerFrame,
    conductor::{Conductor, Mailbox, Report},
    fork::Reuse,
    load::EARLIER,
    mapped::Mapped,
    opening,
    recipe::ASK,
    settle::Settled,
    turn::{ChildStart, Turn},
};
use crate::{
    Engine, Error, Result, User,
    projects::allowed,
    store::{
        self, changes, files,
        launches::Beginning,
        messages,
        runs::{self, CallerKey, NewRun, RunRow, Snapshot},
        versions,
    },
};
use domain::{
    access::Permission,
    event::{Caller, EventKind, Parent},
    id::{EventId, MessageId, RunId, RunNumber, TaskId, UserId},
    key::ProjectKey,
    role::StepRole,
    run::{Planner, RunState},
    view::Launched,
};
use futures::FutureExt;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

const IDEMPOTENCY_KEY_LIMIT: usize = 200;
/// How many of the steps that begin a run are asked how long their queue is.
const FIRST_STEPS: usize = 20;

/// Where a launch comes from and what it says where it stands.
pub(super) struct Opening {
    pub user: Option<UserId>,
    pub by: String,
    /// The user's message.
    pub content: String,
    /// Of its conversation, if that is new.
    pub title: String,
    /// The conversation that it is to stand in; none: a new one.
    pub task: Option<TaskId>,
    pub idempotency: Option<(String, Vec<u8>)>,
    pub caller: Option<CallerFrame>,
    pub reuse: Option<Reuse>,
}

impl Engine {
    /// `beside`: what else the same request asks for.
    pub(crate) async fn launch(
        &self,
        user: &User,
        project_key: &ProjectKey,
        subject: Subject,
        mut launch: Launch,
        beside: Option<&Value>,
    ) -> Result<Launched> {
        let template = match &subject {
            Subject::Template(key) if key.as_ref() != ASK => Some(key),
            _ => None,
        };
        let ground =
            versions::ground(&mut *self.0.store.quick().await?, project_key, user.id, template).await?;
        let standing = ground.as_ref().map(|ground| ground.standing);
        let project = allowed(user, project_key, Permission::Editor, standing)?;
        let (newest, roles) = ground.map(|ground| (ground.template, ground.roles)).unwrap_or_default();
        if let Subject::Ask(text) = &subject {
            if text.trim().is_empty() {
                return Err(Error::invalid("text", "there is nothing in it"));
            }
            launch.input = json!({ "question": text });
        }
        let mut body =
            vec![said(&subject), launch.input.clone(), json!(launch.role_assignments), json!(launch.task_id)];
        // Launches that name no branch have the digests that they always had.
        if launch.branch.is_some() || launch.replaces.is_some() {
            body.extend([json!(launch.branch), json!(launch.replaces)]);
        }
        body.extend(beside.cloned());
        let digest = request_digest(&Value::Array(body))?;
        let idempotency = launch.idempotency_key.clone().map(|key| (key, digest));
        if let Some(earlier) = self.launched_under(project, idempotency.as_ref()).await? {
            return Ok(earlier);
        }
        let runnable = self.runnable(template, newest).await?;
        let settled = self.settle(project, runnable, roles, &launch)?;
        let content = match &subject {
            Subject::Ask(text) => text.clone(),
            Subject::Template(_) => opening::describe(&settled.version, &settled.input),
        };
        let title = opening::title(&subject, &settled.recipe.template.name, &settled.input);
        let opening = Opening {
            user: Some(user.id),
            by: user.name.clone(),
            content,
            title,
            task: launch.task_id,
            idempotency,
            caller: None,
            reuse: None,
        };
        self.open_run(settled, &launch, opening).await
    }

    /// Launches the run that an attempt of another run is. Given again, it finds the run launched before.
    pub(super) async fn launch_called(&self, frame: &CallerFrame, child: &ChildStart) -> Result<RunNumber> {
        let CallerKey { run, step, attempt, .. } = frame.key;
        if let Some(row) = runs::child(self.0.store.read(), run, step, attempt).await? {
            return Ok(row.summary()?.number);
        }
        let launch = Launch {
            input: child.input.clone(),
            role_assignments: child.role_assignments.clone(),
            ..Launch::default()
        };
        let runnable = self.newest(frame.project, &child.template).await?;
        let roles = versions::roles(self.0.store.read(), frame.project).await?;
        let settled = self.settle(frame.project, runnable, roles, &launch)?;
        let opening = Opening {
            user: frame.user,
            by: frame.by.clone(),
            content: opening::describe(&settled.version, &settled.input),
            title: format!("{} in run {}", frame.name, frame.key.number),
            task: None,
            idempotency: None,
            caller: Some(frame.clone()),
            reuse: None,
        };
        Ok(self.open_run(settled, &launch, opening).await?.run)
    }

    /// The answer to a launch that was given before under the same key. Before anything is checked: a repeat gets the
    /// first answer, whatever was changed or deleted since.
    pub(super) async fn launched_under(
        &self,
        project: domain::id::ProjectId,
        idempotency: Option<&(String, Vec<u8>)>,
    ) -> Result<Option<Launched>> {
        let Some((key, digest)) = idempotency else { return Ok(None) };
        let earlier = runs::by_idempotency_key(self.0.store.read(), project, key).await?;
        let Some((row, earlier)) = earlier else { return Ok(None) };
        self.launched_before(same_launch(&row, key, digest, &earlier)?).await.map(Some)
    }

    /// Stores a run that passed every check, and lets it go.
    pub(super) async fn open_run(
        &self,
        settled: Settled,
        launch: &Launch,
        opening: Opening,
    ) -> Result<Launched> {
        let (mail, mailbox) = mpsc::unbounded_channel();
        let (conductor, new) = self.begin(&settled, launch, &opening, mail.clone()).await?;
        let fresh = Fresh { conductor, new, opening, roles: settled.roles };
        // In a task of its own: a caller who hangs up half-way must not leave a run that is stored and not conducted.
        let run = fresh.new.id;
        let stored = self.0.runs.tasks.spawn(self.clone().store_launch(fresh, mail, mailbox)).await;
        stored.unwrap_or_else(|error| {
            self.0.runs.forget_closed(run);
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
        let Fresh { mut conductor, new, opening, roles } = fresh;
        let Opening { content, title, task, caller, reuse, .. } = opening;
        let mut turn = Turn::new(new.at);
        let event_id = EventId(store::mint());
        let queue_position = self.queue_position(&conductor).await;
        conductor.record(&mut turn, EventKind::Acknowledged { event_id, queue_position });
        let parent = reuse.as_ref().map(|reuse| reuse.parent.clone());
        conductor.submit(&mut turn, &new, roles, parent, caller.as_ref())?;
        if let Some(reuse) = reuse {
            conductor.reuse(reuse, &mut turn);
        }
        conductor.plan(&mut turn).await;
        let mut append = conductor.append(0, true, &mut turn);
        // The message is made with it.
        let metadata = append.metadata.take().unwrap_or_else(|| Arc::new(conductor.state().into()));
        let events = append.events.clone();
        let (run, message, task_id, project, branch) =
            (new.id, new.message, new.task, new.project, new.branch);
        let limited = append.derived.wake_at.is_some();
        let subject = append.subject.take().unwrap_or(domain::view::Subject::Run {
            number: RunNumber(0),
            task: task_id,
            status: conductor.state().status(),
        });
        let idempotency = new.idempotency.clone();
        let above = caller.as_ref().map(|caller| caller.task);
        let title = task.is_none().then_some(title);
        let beginning = Beginning::new(new, title, above, content, &append, &metadata, &subject)?;
        // Registered before it is stored: who reads of it may reach it at once.
        self.0.runs.register(run, mail);
        let stored = self.0.store.begin(beginning).await;
        if !matches!(stored, Ok(Some(_))) {
            self.0.runs.forget(run, &conductor.mail);
        }
        if let Some(number) = stored? {
            conductor.number = number;
            if limited {
                self.0.runs.alarm.notify_one();
            }
            conductor.channel.committed(&events);
            conductor.carry_out(turn);
            self.look_after(run, conductor.conduct(mailbox).map(Ok));
            self.prune_changes();
            return Ok(Launched {
                run: number,
                message_id: message,
                task_id,
                event_id,
                queue_position,
                branch,
            });
        }
        // Another one of the same came in between.
        if let Some(CallerFrame { key, .. }) = caller
            && let Some(row) = runs::child(self.0.store.read(), key.run, key.step, key.attempt).await?
        {
            return self.launched_before(row.id()).await;
        }
        let earlier = self.launched_under(project, idempotency.as_ref()).await?;
        earlier.ok_or_else(|| Error::Conflict("two launches met; give it again".to_owned()))
    }

    /// Throws old changes away now and then, beside the launch: it has been made, whatever becomes of this.
    fn prune_changes(&self) {
        if changes::prune_is_due() {
            let engine = self.clone();
            self.0.runs.tasks.spawn(async move {
                if let Err(error) = engine.0.store.write(|tx| Box::pin(changes::prune(tx))).await {
                    tracing::warn!(%error, source = ?error, "old changes were not thrown away");
                }
            });
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

    /// The conductor of a run that is not stored yet, and its row.
    async fn begin(
        &self,
        settled: &Settled,
        launch: &Launch,
        opening: &Opening,
        mail: mpsc::UnboundedSender<Report>,
    ) -> Result<(Conductor, NewRun)> {
        let user_message = MessageId(store::mint());
        let (run, message) = (RunId(store::mint()), MessageId(store::mint()));
        let task = opening.task.unwrap_or_else(|| TaskId(store::mint()));
        let place: Place = self.place(opening.task, launch).await?;
        let db = self.0.store.read();
        let earlier = if settled.recipe.reads_conversation && opening.task.is_some() {
            messages::earlier(db, task, &place.path, user_message, EARLIER).await?
        } else {
            Vec::new()
        };
        let files = if settled.recipe.writes_files && opening.task.is_some() {
            self.files_of(files::newest(db, task, &place.path).await?).await?
        } else {
            BTreeMap::new()
        };
        let roles =
            settled.role_versions.iter().map(|(step, role)| (*step, (role.id, role.version))).collect();
        let caller = opening.caller.as_ref();
        let depth = caller.map_or(0, |caller| caller.depth);
        let caller = caller.map(|caller| caller.key);
        let snapshot = Snapshot {
            input: domain::id::ContentId(store::mint()),
            role_assignments: launch.role_assignments.clone(),
            roles,
            message: user_message,
            depth,
        };
        let new = NewRun {
            id: run,
            project: settled.project,
            template_id: settled.template_id,
            template: settled.version.clone(),
            task,
            message,
            user: opening.user,
            by: opening.by.clone(),
            snapshot,
            idempotency: opening.idempotency.clone(),
            caller,
            branch: place.branch(user_message),
            replaces: place.replaces,
            at: store::now(),
        };
        let conductor = Conductor {
            engine: self.clone(),
            run,
            number: RunNumber(0),
            project: settled.project,
            task,
            message,
            user: opening.user,
            by: opening.by.clone(),
            caller,
            depth,
            role_assignments: launch.role_assignments.clone(),
            recipe: settled.recipe.clone(),
            roles: settled.role_versions.clone(),
            input: settled.input.clone(),
            conversation: serde_json::to_value(&earlier).map_err(Error::internal)?,
            earlier,
            outputs: BTreeMap::new(),
            mapped: Mapped::default(),
            items: HashMap::new(),
            files,
            path: place.path_of(user_message),
            planner: Planner::new(RunState::default()),
            channel: self.0.live.channel(run),
            mail,
            open: HashMap::new(),
            pending: 0,
            metadata_at: Instant::now(),
            metadata_stale: false,
            snapshot_at: 0,
            ended: CancellationToken::new(),
        };
        Ok((conductor, new))
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
            branch: self.branch_of(summary.task, summary.message).await?.first(),
        })
    }
}

/// A run that is to be stored.
struct Fresh {
    conductor: Conductor,
    new: NewRun,
    opening: Opening,
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

impl Conductor {
    fn submit(
        &mut self,
        turn: &mut Turn,
        new: &NewRun,
        roles: Vec<StepRole>,
        parent: Option<Parent>,
        caller: Option<&CallerFrame>,
    ) -> Result<()> {
        let input = serde_json::to_string(&self.input).map_err(Error::internal)?;
        let reference = domain::event::TextRef::new(new.snapshot.input, &input);
        turn.contents.push((new.snapshot.input, input));
        let (template, plan) = (new.template.clone(), self.recipe.plan.clone());
        let by = new.by.clone();
        let caller = caller.map(|caller| Caller {
            run: caller.key.number,
            step: caller.key.step,
            name: caller.name.clone(),
            depth: caller.depth,
        });
        self.record(turn, EventKind::Submitted { template, plan, input: reference, by, parent, caller });
        self.record(turn, EventKind::RolesResolved { roles });
        Ok(())
    }
}

/// Refuses an idempotency key that is too long, or none.
pub(crate) fn checked_key(key: &str) -> Result<()> {
    match key.len() {
        1..=IDEMPOTENCY_KEY_LIMIT => Ok(()),
        _ => Err(Error::invalid("idempotencyKey", format!("1 to {IDEMPOTENCY_KEY_LIMIT} bytes"))),
    }
}

/// What was launched, as a repeat has to say it again.
fn said(subject: &Subject) -> Value {
    match subject {
        Subject::Template(key) => json!({ "template": key }),
        Subject::Ask(text) => json!({ "ask": text }),
    }
}

/// Tells a repeat of a launch from another one under the same idempotency key.
pub(super) fn request_digest(body: &Value) -> Result<Vec<u8>> {
    Ok(Sha256::digest(serde_json::to_vec(body).map_err(Error::internal)?).to_vec())
}
