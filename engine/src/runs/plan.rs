//! What is decided, and done a bounded batch at a time.

use super::{actor::RunActor, batch::Batch};
use crate::models::PromptPermit;
use domain::{event::EventKind, id::StepRunId, run::Effect};
use std::collections::VecDeque;

/// What was decided and is still to be done. It is memory alone: a run that is taken up again decides it anew.
#[derive(Default)]
pub(super) struct Queue {
    effects: VecDeque<Effect>,
    /// Attempts whose prompts wait for room, with the bytes that they need as far as that is known.
    crowded: VecDeque<(StepRunId, u32, usize)>,
    /// A waiter has been sent for the room that the first of them needs.
    asked_for_room: bool,
    /// The last batch was full before everything was decided.
    unfinished: bool,
}

impl Queue {
    /// Whether there is nothing to be done but to wait.
    pub fn is_empty(&self) -> bool {
        !self.unfinished
    }

    /// Whether a prompt has to wait behind others of this run.
    pub fn is_crowded(&self) -> bool {
        !self.crowded.is_empty()
    }

    /// `bytes`: what it needs, if it was rendered.
    pub fn wait_for_room(&mut self, step: StepRunId, attempt: u32, bytes: Option<usize>) {
        let guess = || self.crowded.back().map_or(0, |(.., bytes)| *bytes);
        self.crowded.push_back((step, attempt, bytes.unwrap_or_else(guess)));
    }

    /// How much room is to be asked for, if nobody does yet.
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
    /// Decides until nothing more follows, or the batch is full; what it decides is recorded, what it starts is claimed.
    pub(super) async fn plan(&mut self, batch: &mut Batch) {
        let stopping = self.engine.0.runs.stopping();
        loop {
            if self.planner.is_winding_down() || self.state().phase.is_end() {
                // What was to start does not any more.
                self.queue.effects.clear();
                self.queue.crowded.clear();
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
            // Its time limit stands in the run's row, and wakes the run.
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

    /// There is room for the first prompt that waits for it, and perhaps for more of them.
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
