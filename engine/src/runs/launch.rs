//! Launching a run: resolve and check everything, then store the run in one transaction, then acknowledge.

use super::{
    Launch, Subject,
    actor::RunActor,
    batch::Batch,
    body::child::{CallerFrame, ChildStart},
    branch::LaunchPosition,
    child_templates::{ChildTemplates, is_pinned},
    compiled::ASK,
    facts::RunFacts,
    fork::ReusedSteps,
    mailbox::{Mailbox, MailboxSender},
    prepare::PreparedLaunch,
    user_message,
};
use crate::{
    Engine, Error, Result, User,
    live::RunEnd,
    projects::allowed,
    store::{
        self,
        launches::Beginning,
        runs::{self, CallerKey, NewRun, RunRow, Snapshot},
        versions,
    },
};
use domain::{
    access::Permission,
    error::ErrorClass,
    event::{Caller, EventKind, Failure, Parent},
    id::{EventId, MessageId, RunId, RunNumber, TaskId, UserId},
    key::ProjectKey,
    role::{ResolveError, StepRole},
    run::{Planner, RunState},
    view::Launched,
};
use futures::FutureExt;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use tokio::sync::mpsc;

const IDEMPOTENCY_KEY_LIMIT: usize = 200;
/// How many of a run's first steps are checked for the length of their queues.
const FIRST_STEPS: usize = 20;

/// The origin of a launch, and its place and text in the conversation.
pub(super) struct LaunchRequest {
    pub user: Option<UserId>,
    pub by: String,
    /// The user's message.
    pub content: String,
    /// Title of the conversation, if the conversation is new.
    pub title: String,
    /// The conversation of the run; none: a new one.
    pub task: Option<TaskId>,
    pub idempotency: Option<(String, Vec<u8>)>,
    pub caller: Option<CallerFrame>,
    pub reuse: Option<ReusedSteps>,
    /// Whether the caller waits for the run's end.
    pub waits: bool,
}

/// A run that was launched, now or earlier under the same idempotency key.
pub(crate) struct OpenedRun {
    pub launched: Launched,
    /// Present if the run was launched now and the caller waits for its end.
    pub end: Option<RunEnd>,
}

impl From<Launched> for OpenedRun {
    fn from(launched: Launched) -> Self {
        Self { launched, end: None }
    }
}

impl Engine {
    /// `also_asked`: other content of the same request, for the digest. `waits`: whether the caller waits for the run's
    /// end.
    pub(crate) async fn launch(
        &self,
        user: &User,
        project_key: &ProjectKey,
        subject: Subject,
        mut launch: Launch,
        also_asked: Option<&Value>,
        waits: bool,
    ) -> Result<OpenedRun> {
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
        // Launches without a branch keep the digest that they had before branches existed.
        if launch.branch.is_some() || launch.replaces.is_some() {
            body.extend([json!(launch.branch), json!(launch.replaces)]);
        }
        body.extend(also_asked.cloned());
        let digest = request_digest(&Value::Array(body))?;
        let idempotency = launch.idempotency_key.clone().map(|key| (key, digest));
        if let Some(earlier) = self.launched_under(project, idempotency.as_ref()).await? {
            return Ok(earlier.into());
        }
        let runnable = self.runnable(template, newest).await?;
        let children =
            self.settle_child_templates(project, &runnable, &launch.role_assignments, &roles).await?;
        let prepared = self.prepare(project, runnable, roles, &launch, children).await?;
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
            waits,
        };
        self.open_run(prepared, &launch, request).await
    }

    /// Launches the child run of another run's attempt. A repeated call returns the existing child run. The inner error
    /// says what existed when the top run was launched and is missing now.
    pub(super) async fn launch_called(
        &self,
        frame: &CallerFrame,
        child: &ChildStart,
    ) -> Result<Result<RunNumber, Failure>> {
        let CallerKey { run, step, attempt, .. } = frame.key;
        if let Some(row) = runs::child(self.0.store.read(), run, step, attempt).await? {
            return Ok(Ok(row.summary()?.number));
        }
        let launch = Launch {
            input: child.input.clone(),
            role_assignments: child.role_assignments.clone(),
            ..Launch::default()
        };
        let runnable = match frame.templates.get(&child.template) {
            Some(&(id, version)) => (Some(id), version, self.compiled_as_pinned(id, version).await?),
            None => self.newest(frame.project, &child.template).await?,
        };
        let roles = versions::roles(self.0.store.read(), frame.project).await?;
        if roles.is_empty() && runnable.2.plan.steps.iter().any(|step| step.body.needs_role()) {
            let why = format!("template '{}': {}", child.template, ResolveError::NoRoles);
            return Ok(Err(Failure::new(ErrorClass::NoRoles, why)));
        }
        // A run that was launched before versions were pinned pins them now.
        let children = if is_pinned(&frame.templates, &runnable.2) {
            ChildTemplates::inherited(&frame.templates)
        } else {
            self.settle_child_templates(frame.project, &runnable, &launch.role_assignments, &roles).await?
        };
        let prepared = self.prepare(frame.project, runnable, roles, &launch, children).await?;
        let request = LaunchRequest {
            user: frame.user,
            by: frame.by.clone(),
            content: user_message::describe(&prepared.version, &prepared.input),
            title: format!("{} in run {}", frame.name, frame.key.number),
            task: None,
            idempotency: None,
            caller: Some(frame.clone()),
            reuse: None,
            waits: false,
        };
        Ok(Ok(self.open_run(prepared, &launch, request).await?.launched.run))
    }

    /// The answer of an earlier launch with the same key. It is looked up before any check: a repeat gets the first
    /// answer, whatever was changed or deleted since.
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

    /// Stores a run that passed every check, and starts it.
    pub(super) async fn open_run(
        &self,
        prepared: PreparedLaunch,
        launch: &Launch,
        request: LaunchRequest,
    ) -> Result<OpenedRun> {
        let (mail, mailbox) = mpsc::unbounded_channel();
        let (actor, new) = self.begin(&prepared, launch, &request, mail.clone()).await?;
        let unstored = UnstoredRun { actor, new, request, roles: prepared.roles };
        // Runs as a separate task: a caller that disconnects must not leave a stored run that nothing executes.
        let run = unstored.new.id;
        let stored = self.0.runs.tasks.spawn(self.clone().store_launch(unstored, mail, mailbox)).await;
        stored.unwrap_or_else(|error| {
            self.0.runs.forget_closed(run);
            Err(Error::internal(error))
        })
    }

    /// Plans the run, stores it, acknowledges it and starts it.
    async fn store_launch(
        self,
        unstored: UnstoredRun,
        mail: MailboxSender,
        mailbox: Mailbox,
    ) -> Result<OpenedRun> {
        let UnstoredRun { mut actor, new, request, roles } = unstored;
        let LaunchRequest { content, title, task, caller, reuse, waits, .. } = request;
        // Subscribed before any part of the run can end.
        let end = waits.then(|| RunEnd::of(actor.channel.clone()));
        let mut batch = Batch::new(new.at);
        let event_id = EventId(store::mint());
        let queue_position = self.queue_position(&actor).await;
        actor.record(&mut batch, EventKind::Acknowledged { event_id, queue_position });
        let parent = reuse.as_ref().map(|reuse| reuse.parent.clone());
        actor.submit(&mut batch, &new, roles, parent, caller.as_ref())?;
        if let Some(reuse) = reuse {
            actor.reuse(reuse, &mut batch);
        }
        // The server that executes the run plans it: attempts claimed here would be called here.
        let keeps = self.0.delivery.keeps();
        if keeps {
            actor.plan(&mut batch).await;
        }
        let mut append = actor.append(0, true, &mut batch)?;
        // The metadata goes into the message's row, which is created with the run.
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
        // Registered before it is stored, because readers may try to reach it at once.
        if keeps {
            self.0.runs.register(run, mail);
        }
        let stored = self.0.store.begin(beginning).await;
        if !matches!(stored, Ok(Some(_))) {
            self.0.runs.forget(run, &actor.mail);
        }
        if let Some(number) = stored? {
            actor.facts.number = number;
            if wake_at.is_some() {
                actor.limit = wake_at;
                self.0.delivery.wake_at(&self, run, at, wake_at);
            }
            actor.channel.committed(&events, actor.state());
            actor.tell_caller(actor.state().phase, &events);
            if keeps {
                actor.carry_out(batch);
                self.supervise(run, actor.work(mailbox).map(Ok));
            } else {
                self.advance(run);
            }
            self.0.prune_signal.launched();
            let launched =
                Launched { run: number, message_id: message, task_id, event_id, queue_position, branch };
            return Ok(OpenedRun { launched, end });
        }
        // An identical launch was stored in between.
        if let Some(CallerFrame { key, .. }) = caller
            && let Some(row) = runs::child(self.0.store.read(), key.run, key.step, key.attempt).await?
        {
            return Ok(self.launched_before(row.id()).await?.into());
        }
        let earlier = self.launched_under(project, idempotency.as_ref()).await?;
        earlier
            .map(OpenedRun::from)
            .ok_or_else(|| Error::Conflict("two launches met; give it again".to_owned()))
    }

    /// The position of the run's first call in its provider's queue; 0 if one of its first steps starts at once.
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

    /// The actor of a run that is not stored yet, and the run's row.
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
            templates: prepared.templates.clone(),
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
            owner: self.0.delivery.keeps().then(|| self.0.runs.owner()),
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
            templates: Arc::new(prepared.templates.clone()),
            path: place.path_of(user_message),
        };
        let planner = Planner::new(RunState::default());
        let (compiled, roles) = (prepared.compiled.clone(), prepared.role_versions.clone());
        let actor = RunActor::new(self, facts, compiled, roles, prepared.input.clone(), planner, mail);
        Ok((actor, new))
    }

    /// The acknowledgement of an earlier launch.
    async fn launched_before(&self, run: RunId) -> Result<Launched> {
        let db = self.0.store.read();
        let row = runs::by_id(db, run).await?.ok_or_else(|| Error::not_found("run", run))?;
        let summary = row.summary()?;
        // The caller may repeat the launch because the run seems stuck.
        if !summary.status.is_end() {
            self.advance(run);
        }
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

/// A run that is about to be stored.
struct UnstoredRun {
    actor: RunActor,
    new: NewRun,
    request: LaunchRequest,
    roles: Vec<StepRole>,
}

/// The run launched earlier under this key, if the launch was identical.
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
        let parent = parent.map(Box::new);
        self.record(batch, EventKind::Submitted { template, plan, input: reference, by, parent, caller });
        self.record(batch, EventKind::RolesResolved { roles });
        Ok(())
    }
}

/// Rejects an idempotency key that is empty or too long.
pub(crate) fn checked_key(key: &str) -> Result<()> {
    match key.len() {
        1..=IDEMPOTENCY_KEY_LIMIT => Ok(()),
        _ => Err(Error::invalid("idempotencyKey", format!("1 to {IDEMPOTENCY_KEY_LIMIT} bytes"))),
    }
}

/// The subject in the form that enters the request digest.
fn said(subject: &Subject) -> Value {
    match subject {
        Subject::Template(key) => json!({ "template": key }),
        Subject::Ask(text) => json!({ "ask": text }),
    }
}

/// The digest that distinguishes a repeated launch from a different one under the same idempotency key.
pub(super) fn request_digest(body: &Value) -> Result<Vec<u8>> {
    Ok(Sha256::digest(serde_json::to_vec(body).map_err(Error::internal)?).to_vec())
}
