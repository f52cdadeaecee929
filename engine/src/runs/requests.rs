//! Requests of people and of calling runs to a run: stop, or take an answer. A request is stored first; the run's next
//! batch carries it out or refuses it, and the asker is told after that commit.

use super::{
    actor::RunActor,
    batch::Batch,
    mailbox::{Decided, has_ended},
};
use crate::{
    Engine, Error, Result,
    store::{
        self,
        requests::{self, RequestRow, SettledRow},
        runs,
    },
};
use domain::{
    id::{RunId, RunNumber, StepRunId},
    problem::Problem,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::oneshot,
    time::{Instant, MissedTickBehavior, interval_at, timeout},
};
use uuid::Uuid;

/// How long an asker waits for the commit that handles its request.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often an asker checks whether another server handled it.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// A request to a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub(super) enum Request {
    Cancel {
        by: String,
    },
    /// A person has decided a step.
    Answer {
        step: StepRunId,
        decided: Decided,
    },
    /// A wake-up reached a server that does not execute the run.
    Look,
}

impl Request {
    pub fn stored(&self, asker: Option<&Engine>) -> Result<RequestRow> {
        let body = serde_json::to_string(self).map_err(Error::internal)?;
        Ok(RequestRow { id: store::mint(), asker: asker.map(|engine| engine.0.runs.owner()), body })
    }

    /// The request of an ended run to its child runs.
    pub fn stop_of(caller: RunNumber) -> Self {
        Self::Cancel { by: format!("run {caller}") }
    }

    pub fn json(&self) -> Result<String> {
        serde_json::to_string(self).map_err(Error::internal)
    }
}

/// Why a request was refused, in a form that can be stored for an asker on another server.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Refusal {
    Conflict(String),
    Invalid(Vec<Problem>),
    NotFound(String),
    Failed,
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        match error {
            Error::Conflict(why) => Self::Conflict(why),
            Error::Invalid(problems) => Self::Invalid(problems),
            Error::NotFound { what } => Self::NotFound(what),
            error => {
                tracing::error!(%error, source = ?error, "what was asked of a run failed");
                Self::Failed
            }
        }
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Conflict(why) => Self::Conflict(why),
            Refusal::Invalid(problems) => Self::Invalid(problems),
            Refusal::NotFound(what) => Self::NotFound { what },
            Refusal::Failed => Self::internal("what was asked of a run failed; the log above says why"),
        }
    }
}

/// A request that a batch has carried out or refused.
pub(super) struct Settled {
    id: Uuid,
    /// Whether its asker waits on another server.
    elsewhere: bool,
    outcome: Result<(), Refusal>,
}

impl Settled {
    fn new(engine: &Engine, request: &RequestRow, outcome: Result<(), Refusal>) -> Self {
        // If the database is not shared, any other server is gone, and the asker with it.
        let shared = engine.0.runs.is_shared();
        let elsewhere = shared && request.asker.is_some_and(|asker| asker != engine.0.runs.owner());
        Self { id: request.id, elsewhere, outcome }
    }

    pub fn row(&self) -> Result<SettledRow> {
        let outcome = self.elsewhere.then(|| serde_json::to_string(&self.outcome)).transpose();
        Ok(SettledRow { id: self.id, outcome: outcome.map_err(Error::internal)? })
    }
}

/// The askers that wait on this server.
#[derive(Default)]
pub(super) struct Askers(Mutex<HashMap<Uuid, oneshot::Sender<Result<(), Refusal>>>>);

impl Askers {
    fn waiting(&self) -> MutexGuard<'_, HashMap<Uuid, oneshot::Sender<Result<(), Refusal>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the askers the outcome of their requests. Called after the commit.
    pub fn tell(&self, settled: Vec<Settled>) {
        for Settled { id, outcome, .. } in settled {
            if let Some(asker) = self.waiting().remove(&id) {
                drop(asker.send(outcome));
            }
        }
    }
}

/// Removes the asker from the list when it stops waiting.
struct Waiting<'e> {
    engine: &'e Engine,
    id: Uuid,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.engine.0.runs.askers.waiting().remove(&self.id);
    }
}

impl Engine {
    /// Stores the request, and waits until the run has handled it. `late` is the error text for an asker that has
    /// waited too long: the request will still be carried out.
    ///
    /// # Errors
    /// `Conflict` if the run has ended; otherwise the refusal of the request.
    pub(super) async fn ask(
        &self,
        run: RunId,
        number: RunNumber,
        request: &Request,
        late: &str,
    ) -> Result<()> {
        let row = request.stored(Some(self))?;
        let id = row.id;
        let (asker, answer) = oneshot::channel();
        self.0.runs.askers.waiting().insert(id, asker);
        let _waiting = Waiting { engine: self, id };
        let outcome = async {
            let at = store::now();
            let stored = self
                .0
                .store
                .write(move |tx| Box::pin(async move { requests::insert(tx, run, &row, at).await }));
            if !stored.await? {
                return Err(has_ended(number));
            }
            self.advance(run);
            let stopping = self.0.runs.stopping();
            tokio::select! {
                biased;
                Ok(outcome) = answer => Ok(outcome?),
                outcome = self.outcome_elsewhere(id), if self.0.runs.is_shared() => Ok(outcome??),
                // The request is stored and will be carried out after the next start.
                () = stopping.cancelled() => Err(Error::Unavailable(late.to_owned())),
            }
        };
        timeout(PATIENCE, outcome).await.unwrap_or_else(|_| Err(Error::Unavailable(late.to_owned())))
    }

    async fn outcome_elsewhere(&self, id: Uuid) -> Result<Result<(), Refusal>> {
        let mut looks = interval_at(Instant::now() + LOOK_EVERY, LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            if !requests::has_outcome(self.0.store.read(), id).await? {
                continue;
            }
            let outcome = self.0.store.write(move |tx| Box::pin(requests::outcome(tx, id))).await?;
            if let Some(outcome) = outcome {
                return serde_json::from_str(&outcome).map_err(Error::internal);
            }
        }
    }

    /// Stores the request without waiting for an outcome.
    pub(super) fn ask_later(&self, run: RunId, request: Request) {
        let engine = self.clone();
        // For `Look`, the sweep of the server that executes the run finds the row; a wake-up here would only be
        // forwarded again.
        let looks = matches!(request, Request::Look);
        self.0.runs.spawn_background(async move {
            let write = async || {
                let row = request.stored(None)?;
                let at = store::now();
                engine
                    .0
                    .store
                    .write(move |tx| Box::pin(async move { requests::insert(tx, run, &row, at).await }))
                    .await
            };
            match engine.persist(run, write).await {
                Ok(true) if !looks => engine.advance(run),
                Ok(_) => {}
                Err(error) => {
                    tracing::error!(%run, %error, source = ?error, "nothing could be asked of a run")
                }
            }
        });
    }

    /// Like [`Engine::refuse_requests`], for a run that may have been deleted.
    pub(super) async fn refuse_requests_of(&self, run: RunId) -> Result<()> {
        if let Some(row) = runs::by_id(self.0.store.read(), run).await? {
            self.refuse_requests(run, row.summary()?.number);
        }
        Ok(())
    }

    /// Refuses the pending requests of a run that has ended.
    pub(super) fn refuse_requests(&self, run: RunId, number: RunNumber) {
        let engine = self.clone();
        self.0.runs.spawn_background(async move {
            let pending = match requests::pending(engine.0.store.read(), run).await {
                Ok(pending) if pending.is_empty() => return,
                Ok(pending) => pending,
                Err(error) => {
                    return tracing::warn!(%run, %error, source = ?error, "requests of an ended run could not be read");
                }
            };
            let refused = || Err(Refusal::from(has_ended(number)));
            let settled: Vec<_> =
                pending.iter().map(|request| Settled::new(&engine, request, refused())).collect();
            let rows: Result<Vec<_>> = settled.iter().map(Settled::row).collect();
            let write = async {
                let rows = rows?;
                engine.0.store.write(move |tx| Box::pin(async move { requests::settle(tx, &rows).await })).await
            };
            match write.await {
                Ok(()) => engine.0.runs.askers.tell(settled),
                Err(error) => tracing::warn!(%run, %error, source = ?error, "requests of an ended run stay"),
            }
        });
    }
}

impl RunActor {
    /// Carries out the run's pending requests. Stop goes first, so that nothing starts in the batch that stops the run.
    pub(super) async fn take_requests(&mut self, batch: &mut Batch) {
        let (engine, run) = (self.engine.clone(), self.facts.run);
        let pending = match engine.persist(run, || requests::pending(engine.0.store.read(), run)).await {
            Ok(pending) => pending,
            Err(error) => {
                return tracing::error!(%run, %error, source = ?error, "what is asked of a run could not be read");
            }
        };
        let read = |row: RequestRow| {
            let request = serde_json::from_str::<Request>(&row.body);
            (row, request)
        };
        let mut pending: Vec<_> = pending.into_iter().map(read).collect();
        pending.sort_by_key(|(_, request)| !matches!(request, Ok(Request::Cancel { .. })));
        for (row, request) in pending {
            let outcome = match request {
                Ok(Request::Look) => Ok(()),
                Ok(_) if self.state().phase.is_end() => Err(has_ended(self.facts.number)),
                Ok(Request::Cancel { by }) => {
                    self.cancel(by, batch).await;
                    Ok(())
                }
                Ok(Request::Answer { step, decided }) => self.answer(step, decided, batch).await,
                Err(error) => Err(Error::internal(error)),
            };
            batch.settled.push(Settled::new(&self.engine, &row, outcome.map_err(Refusal::from)));
        }
    }
}
