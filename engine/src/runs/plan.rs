//! Planning: decides the next effects and carries them out in bounded batches.

use super::{actor::RunActor, batch::Batch};
use crate::models::PromptPermit;
use domain::{event::EventKind, id::StepRunId, run::Effect};
use std::collections::VecDeque;

/// Decided effects that are still to be carried out. Kept in memory only: a resumed run decides them again.
#[derive(Default)]
pub(super) struct Queue {
    effects: VecDeque<Effect>,
    /// Attempts whose prompts wait for room, with the bytes that they need, estimated if unknown.
    crowded: VecDeque<(StepRunId, u32, usize)>,
    /// Whether a task waits for the room that the first of them needs.
    asked_for_room: bool,
    /// Whether the last batch was full before everything was decided.
    unfinished: bool,
}

impl Queue {
    /// Whether there is nothing to do but wait.
    pub fn is_empty(&self) -> bool {
        !self.unfinished
    }

    /// Whether a prompt must wait behind others of this run.
    pub fn is_crowded(&self) -> bool {
        !self.crowded.is_empty()
    }

    /// `bytes`: the size of the prompt, if it has been rendered.
    pub fn wait_for_room(&mut self, step: StepRunId, attempt: u32, bytes: Option<usize>) {
        let guess = || self.crowded.back().map_or(0, |(.., bytes)| *bytes);
        self.crowded.push_back((step, attempt, bytes.unwrap_or_else(guess)));
    }

    /// How much room to request, unless a task already waits for it.
    pub fn room_to_ask_for(&mut self) -> Option<usize> {
        if self.asked_for_room {
            return None;
        }
        let (.., bytes) = self.crowded.front()?;
        self.asked_for_room = true;
        Some(*bytes)
    }
}

impl RunActor {
    /// Decides until nothing more follows or the batch is full. Decisions are recorded, and started attempts are
    /// claimed.
    pub(super) async fn plan(&mut self, batch: &mut Batch) {
        let stopping = self.engine.0.runs.stopping();
        loop {
            if self.planner.is_winding_down() || self.state().phase.is_end() {
                // Pending starts are dropped; claimed attempts are called nevertheless.
                self.queue.effects.clear();
                let claimed = &self.claimed;
                self.queue.crowded.retain(|(step, ..)| claimed.contains_key(step));
            }
            if self.queue.effects.is_empty() {
                self.queue.effects.extend(self.planner.decide());
            }
            let effect = self.queue.effects.pop_front();
            self.queue.unfinished = effect.is_some();
            let Some(effect) = effect else { return };
            self.carry(effect, batch).await;
            if batch.is_full() || stopping.is_cancelled() {
                return;
            }
        }
    }

    async fn carry(&mut self, effect: Effect, batch: &mut Batch) {
        match effect {
            Effect::Evaluate { step } => self.evaluate_condition(step, batch).await,
            Effect::Skip { step } => {
                let reason = "its condition does not hold".to_owned();
                self.record(batch, EventKind::Skipped { step, reason });
            }
            Effect::MakeReady { step } => self.record(batch, EventKind::Ready { step }),
            Effect::ResolveItems { step } => self.resolve_items(step, batch).await,
            Effect::Gather { step, failed } => self.gather(step, failed, batch).await,
            Effect::FailItems { step, error } => self.fail_whole(step, error, batch),
            // The time limit is in the run's row; a timer wakes the run.
            Effect::AwaitAnswer { .. } => {}
            Effect::Start { step, attempt, not_before } => match not_before {
                Some(at) if at > batch.at => batch.timers.push((step, attempt, at)),
                _ => self.start(step, attempt, None, None, batch).await,
            },
            Effect::Complete => self.complete(batch).await,
            Effect::Fail { error, step } => {
                self.record(batch, EventKind::Failed { error, step: Some(step) });
            }
        }
    }

    /// Starts the first attempt whose prompt waits for room, and as many others as there is room for.
    pub(super) async fn room_is_there(&mut self, permit: PromptPermit, batch: &mut Batch) {
        self.queue.asked_for_room = false;
        // The first of them may have been dropped meanwhile.
        if let Some((step, attempt, _)) = self.queue.crowded.pop_front() {
            self.start(step, attempt, None, Some(permit), batch).await;
        }
        while let Some((step, attempt, bytes)) = self.queue.crowded.pop_front() {
            let room = if batch.is_full() { None } else { self.engine.0.prompts.try_acquire(bytes) };
            let Some(room) = room else {
                return self.queue.crowded.push_front((step, attempt, bytes));
            };
            self.start(step, attempt, None, Some(room), batch).await;
        }
    }
}
