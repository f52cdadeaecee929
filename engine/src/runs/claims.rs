//! Claimed attempts whose model calls wait for a delivery.
//!
//! Where the delivery does not keep work in this process, a claim and the begin of its call are two commits: `prompt`
//! with `pending`, and `callBegan`. Between them the call has provably not been made, so whichever server executes the
//! run makes it, with the request that the claim stored. After `callBegan` the call may have been made: if its server
//! ends, the attempt is interrupted.

use super::{
    actor::RunActor,
    batch::{Batch, Start},
    body::prompt,
};
use crate::models::{PromptPermit, Slot};
use domain::{
    event::{PendingCall, TextRef},
    id::StepRunId,
};
use tokio::time::Instant;

/// A claimed attempt whose call has not begun.
pub(super) struct Claim {
    attempt: u32,
    call: ClaimedCall,
}

enum ClaimedCall {
    /// This actor made the claim: the request is in memory, with its slot and its room.
    Ready(Box<Start>),
    /// An earlier actor made the claim: the request is in the store.
    Stored,
    /// The delivery has arrived; the call waits for a slot of its provider or for prompt room.
    Queued,
}

impl Claim {
    /// Of an attempt that another actor has claimed.
    pub fn stored(attempt: u32) -> Self {
        Self { attempt, call: ClaimedCall::Stored }
    }

    pub fn is_queued(&self) -> bool {
        matches!(self.call, ClaimedCall::Queued)
    }
}

impl RunActor {
    /// Keeps the claims of a committed batch, and requests their delivery.
    pub(super) fn hold_claims(&mut self, claims: Vec<Start>) {
        if self.claimed.is_empty() {
            self.delivered_at = Instant::now();
        }
        for start in claims {
            let (step, attempt) = (start.step, start.attempt);
            self.claimed.insert(step, Claim { attempt, call: ClaimedCall::Ready(Box::new(start)) });
            self.engine.0.delivery.execute(&self.engine, self.facts.run, step, attempt);
        }
    }

    /// Requests the delivery of all claimed attempts whose delivery has not arrived: it may have been lost.
    pub(super) fn deliver_claimed(&mut self) {
        self.delivered_at = Instant::now();
        for (step, claim) in self.claimed.iter().filter(|(_, claim)| !claim.is_queued()) {
            self.engine.0.delivery.execute(&self.engine, self.facts.run, *step, claim.attempt);
        }
    }

    /// Begins the call of a claimed attempt. A delivery may arrive twice, or after its attempt was stopped.
    pub(super) async fn execute_claimed(&mut self, step: StepRunId, attempt: u32, batch: &mut Batch) {
        match self.take_claim(step, attempt, |claim| !claim.is_queued()) {
            Some(ClaimedCall::Ready(start)) => prompt::begin_call(self, *start, batch),
            Some(_) => self.begin_stored_call(step, attempt, None, None, batch).await,
            None => {}
        }
    }

    /// Continues a claimed attempt with the slot or the prompt room that its call waited for.
    pub(super) async fn continue_claimed(
        &mut self,
        step: StepRunId,
        attempt: u32,
        slot: Option<Slot>,
        permit: Option<PromptPermit>,
        batch: &mut Batch,
    ) {
        if self.take_claim(step, attempt, Claim::is_queued).is_some() {
            self.begin_stored_call(step, attempt, slot, permit, batch).await;
        }
    }

    async fn begin_stored_call(
        &mut self,
        step: StepRunId,
        attempt: u32,
        slot: Option<Slot>,
        permit: Option<PromptPermit>,
        batch: &mut Batch,
    ) {
        match prompt::restore(self, step, attempt, slot, permit, batch).await {
            Ok(Some(start)) => prompt::begin_call(self, start, batch),
            Ok(None) => drop(self.claimed.insert(step, Claim { attempt, call: ClaimedCall::Queued })),
            Err(failure) => self.fail(step, attempt, failure, batch),
        }
    }

    /// Removes the attempt's claim, if `wanted`. None if the attempt has ended meanwhile.
    fn take_claim(
        &mut self,
        step: StepRunId,
        attempt: u32,
        wanted: impl Fn(&Claim) -> bool,
    ) -> Option<ClaimedCall> {
        self.claimed.get(&step).filter(|claim| claim.attempt == attempt && wanted(claim))?;
        let claim = self.claimed.remove(&step)?;
        self.pending_call(step, attempt).is_some().then_some(claim.call)
    }

    /// The stored prompt of an attempt whose call has not begun, and what else the call needs.
    pub(super) fn pending_call(&self, step: StepRunId, attempt: u32) -> Option<(&TextRef, &PendingCall)> {
        let open = self.state().step_run(step)?.open_attempt()?;
        if open.number != attempt {
            return None;
        }
        open.prompt.as_ref().zip(open.pending.as_ref())
    }
}

#[cfg(test)]
mod tests;
