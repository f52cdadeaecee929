//! Launching: everything is settled and checked first, then stored in one transaction, then acknowledged.

use super::{
    Launch, Subject,
    actor::RunActor,
    batch::{Batch, ChildStart},
    body::child::CallerFrame,
    branch::LaunchPosition,
    compiled::ASK,
    facts::RunFacts,
    fork::ReusedSteps,
    mailbox::{Mailbox, MailboxSender},
    prepare::PreparedLaunch,
    user_message,
};
use crate::{
    Engine, Error, Result, User,
    projects::allowed,
    store::{
        self, changes,
        launches::Beginning,
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
use std::sync::Arc;
use tokio::sync::mpsc;

const IDEMPOTENCY_KEY_LIMIT: usize = 200;
/// How many of the steps that begin a run are asked how long their queue is.
const FIRST_STEPS: usize = 20;

/// Where a launch comes from and what it says where it stands.
pub(super) struct LaunchRequest {
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
    pub reuse: Option<ReusedSteps>,
}

impl Engine {
    /// `also_asked`: what else the same request asks for.
    pub(crate) async fn launch(
        &self,
        user: &User,
        project_key: &ProjectKey,
        subject: Subject,
        mut launch: Launch,
        also_asked: Option<&Value>,
    ) -> Result<Launched> {
        let template = match &subject {
            Subject::Template(key) if key.as_ref() != ASK => Some(key),
            _ => None,
        };
        let context =
            versions::launch_context(&mut *self.0.store.quick().await?, project_key, user.id, template)
                .await?;
        let membership = context.as_ref().map(|context| context.membership);
        let project = allowed(user, project_key, Permission::Editor, membership)?;
        let (newest, roles) = context.map(|context| (context.template, context.roles)).unwrap_or_default();
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
        body.extend(also_asked.cloned());
        let digest = request_digest(&Value::Array(body))?;
        let idempotency = launch.idempotency_key.clone().map(|key| (key, digest));
        if let Some(earlier) = self.launched_under(project, idempotency.as_ref()).await? {
            return Ok(earlier);
        }
        let runnable = self.runnable(template, newest).await?;
        let prepared = self.prepare(project, runnable, roles, &launch)?;
        let content = match &subject {
            Subject::Ask(text) => text.clone(),
            Subject::Template(_) => user_message::describe(&prepared.version, &prepared.input),
        };
        let title = user_message::title(&subject, &prepared.compiled.template.name, &prepared.input);
        let request = LaunchRequest {
            user: Some(user.id),
            by: user.name.clone(),
            content,
            title,
            task: launch.task_id,
            idempotency,
            caller: None,
            reuse: None,
        };
        self.open_run(prepared, &launch, request).await
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
        let prepared = self.prepare(frame.project, runnable, roles, &launch)?;
        let request = LaunchRequest {
            user: frame.user,
            by: frame.by.clone(),
            content: user_message::describe(&prepared.version, &prepared.input),
            title: format!("{} in run {}", frame.name, frame.key.number),
            task: None,
            idempotency: None,
            caller: Some(frame.clone()),
            reuse: None,
        };
        Ok(self.open_run(prepared, &launch, request).await?.run)
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
        prepared: PreparedLaunch,
        launch: &Launch,
        request: LaunchRequest,
    ) -> Result<Launched> {
        let (mail, mailbox) = mpsc::unbounded_channel();
        let (actor, new) = self.begin(&prepared, launch, &request, mail.clone()).await?;
        let unstored = UnstoredRun { actor, new, request, roles: prepared.roles };
        // In a task of its own: a caller who hangs up half-way must not leave a run that is stored and not worked on.
        let run = unstored.new.id;
        let stored = self.0.runs.tasks.spawn(self.clone().store_launch(unstored, mail, mailbox)).await;
        stored.unwrap_or_else(|error| {
            self.0.runs.forget_closed(run);
            Err(Error::internal(error))
        })
    }

    /// Plans the run, stores it, acknowledges it and lets it go.
    async fn store_launch(
        self,
        unstored: UnstoredRun,
        mail: MailboxSender,
        mailbox: Mailbox,
    ) -> Result<Launched> {
        let UnstoredRun { mut actor, new, request, roles } = unstored;
        let LaunchRequest { content, title, task, caller, reuse, .. } = request;
        let mut batch = Batch::new(new.at);
        let event_id = EventId(store::mint());
        let queue_position = self.queue_position(&actor).await;
        actor.record(&mut batch, EventKind::Acknowledged { event_id, queue_position });
        let parent = reuse.as_ref().map(|reuse| reuse.parent.clone());
        actor.submit(&mut batch, &new, roles, parent, caller.as_ref())?;
        if let Some(reuse) = reuse {
            actor.reuse(reuse, &mut batch);
        }
        actor.plan(&mut batch).await;
        let mut append = actor.append(0, true, &mut batch);
        // The message is made with it.
        let metadata = append.metadata.take().unwrap_or_else(|| Arc::new(actor.state().into()));
        let events = append.events.clone();
        let (run, message, task_id, project, branch) =
            (new.id, new.message, new.task, new.project, new.branch);
        let (at, wake_at) = (append.at, append.derived.wake_at);
        let subject = append.subject.take().unwrap_or(domain::view::Subject::Run {
            number: RunNumber(0),
            task: task_id,
            status: actor.state().status(),
        });
        let idempotency = new.idempotency.clone();
        let above = caller.as_ref().map(|caller| caller.task);
        let title = task.is_none().then_some(title);
        let beginning = Beginning::new(new, title, above, content, &append, &metadata, &subject)?;
        // Registered before it is stored: who reads of it may reach it at once.
        self.0.runs.register(run, mail);
        let stored = self.0.store.begin(beginning).await;
        if !matches!(stored, Ok(Some(_))) {
            self.0.runs.forget(run, &actor.mail);
        }
        if let Some(number) = stored? {
            actor.facts.number = number;
            if wake_at.is_some() {
                actor.limit = wake_at;
                self.0.runs.timers.set(run, at, wake_at);
            }
            actor.channel.committed(&events);
            actor.carry_out(batch);
            self.supervise(run, actor.work(mailbox).map(Ok));
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

    /// Throws old changes away now and then, also_asked the launch: it has been made, whatever becomes of this.
    fn prune_changes(&self) {
        if changes::prune_is_due() {
            let engine = self.clone();
            self.0.runs.tasks.spawn(async move {
                if let Err(error) = engine.forget_old_changes().await {
                    tracing::warn!(%error, source = ?error, "old changes were not thrown away");
                }
            });
        }
    }

    /// Where the run's first call stands in its provider's queue; 0 when one of its first steps starts at once.
    async fn queue_position(&self, actor: &RunActor) -> u32 {
        let steps = actor.compiled.plan.steps.iter().zip(0u32..);
        let first = steps.filter(|(step, _)| step.depends_on.is_empty()).take(FIRST_STEPS);
        let mut best: Option<u32> = None;
        for (_, step) in first {
            let Some(role) = actor.roles.get(&step) else { continue };
            let Ok(resolved) = self.0.models.resolve(&role.model).await else { continue };
            let position = resolved.limits.next_position() as u32;
            best = Some(best.map_or(position, |best| best.min(position)));
            if position == 0 {
                break;
            }
        }
        best.unwrap_or(0)
    }

    /// The actor of a run that is not stored yet, and its row.
    async fn begin(
        &self,
        prepared: &PreparedLaunch,
        launch: &Launch,
        request: &LaunchRequest,
        mail: MailboxSender,
    ) -> Result<(RunActor, NewRun)> {
        let user_message = MessageId(store::mint());
        let (run, message) = (RunId(store::mint()), MessageId(store::mint()));
        let task = request.task.unwrap_or_else(|| TaskId(store::mint()));
        let place: LaunchPosition = self.place(request.task, launch).await?;
        let roles =
            prepared.role_versions.iter().map(|(step, role)| (*step, (role.id, role.version))).collect();
        let caller = request.caller.as_ref();
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
            project: prepared.project,
            template_id: prepared.template_id,
            template: prepared.version.clone(),
            task,
            message,
            user: request.user,
            by: request.by.clone(),
            snapshot,
            idempotency: request.idempotency.clone(),
            caller,
            branch: place.branch(user_message),
            replaces: place.replaces,
            at: store::now(),
        };
        let facts = RunFacts {
            run,
            number: RunNumber(0),
            project: prepared.project,
            task,
            message,
            question: user_message,
            user: request.user,
            by: request.by.clone(),
            caller,
            depth,
            role_assignments: launch.role_assignments.clone(),
            path: place.path_of(user_message),
        };
        let planner = Planner::new(RunState::default());
        let (compiled, roles) = (prepared.compiled.clone(), prepared.role_versions.clone());
        let actor = RunActor::new(self, facts, compiled, roles, prepared.input.clone(), planner, mail);
        Ok((actor, new))
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
struct UnstoredRun {
    actor: RunActor,
    new: NewRun,
    request: LaunchRequest,
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

impl RunActor {
    fn submit(
        &mut self,
        batch: &mut Batch,
        new: &NewRun,
        roles: Vec<StepRole>,
        parent: Option<Parent>,
        caller: Option<&CallerFrame>,
    ) -> Result<()> {
        let input = serde_json::to_string(&self.values.input).map_err(Error::internal)?;
        let reference = domain::event::TextRef::new(new.snapshot.input, &input);
        batch.add_content(new.snapshot.input, input);
        let (template, plan) = (new.template.clone(), self.compiled.plan.clone());
        let by = new.by.clone();
        let caller = caller.map(|caller| Caller {
            run: caller.key.number,
            step: caller.key.step,
            name: caller.name.clone(),
            depth: caller.depth,
        });
        self.record(batch, EventKind::Submitted { template, plan, input: reference, by, parent, caller });
        self.record(batch, EventKind::RolesResolved { roles });
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
