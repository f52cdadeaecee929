//! Turns for work that takes processor time for a request: checking a document, comparing texts, drawing them.
//!
//! Such work runs on threads for blocking work, never on those that serve requests, and only a few pieces at once, so
//! that its memory is bounded too.

use crate::{
    Engine, Error, Result, User,
    tally::{Entry, Tally},
};
use domain::id::UserId;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Pieces of work at once.
const AT_ONCE: usize = 2;
/// How many pieces of work of one person may be under way or waiting; others are refused, so that nobody fills the queue.
const PER_PERSON: usize = 32;
/// Seconds after which a refused person may try again.
const RETRY_AFTER: u64 = 1;

pub(crate) struct Turns {
    free: Arc<Semaphore>,
    people: Tally<UserId>,
}

/// Held while the work runs.
pub(crate) struct Turn {
    _permit: OwnedSemaphorePermit,
    _place: Entry<UserId>,
}

impl Default for Turns {
    fn default() -> Self {
        Self { free: Arc::new(Semaphore::new(AT_ONCE)), people: Tally::default() }
    }
}

impl Turns {
    /// Waits for a turn.
    ///
    /// # Errors
    /// `TooMany` if the person has too much under way.
    pub async fn take(&self, user: &User) -> Result<Turn> {
        let place = self.people.enter(user.id, PER_PERSON).ok_or_else(|| Error::TooMany {
            what: format!("{PER_PERSON} of your requests are being worked on"),
            retry_after_seconds: RETRY_AFTER,
        })?;
        let permit = self.free.clone().acquire_owned().await.map_err(Error::internal)?;
        Ok(Turn { _permit: permit, _place: place })
    }
}

impl Engine {
    /// Does work that takes processor time for the user's request, in its turn. Permissions are checked before.
    ///
    /// # Errors
    /// `TooMany` if the user has too much under way.
    pub async fn compute<T: Send + 'static>(
        &self,
        user: &User,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        let turn = self.0.turns.take(user).await?;
        let done = tokio::task::spawn_blocking(move || {
            // Held by the work, not by the caller: a caller that disconnects must not start more than are allowed.
            let _turn = turn;
            work()
        });
        done.await.map_err(Error::internal)
    }
}
