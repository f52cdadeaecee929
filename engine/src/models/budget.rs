//! The budget of prompt text in flight, over all providers: calls are admitted by bytes as well as by number.

use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes of one permit.
const UNIT: usize = 1024;
/// Prompts up to this many bytes take no room: the providers' limits on concurrent calls bound their total, and a run
/// with small prompts does not wait for the large ones of another run.
const SMALL: usize = 16 * 1024;

/// A budget of bytes, shared by all calls. Waiting calls get room in the order of their requests.
#[derive(Clone)]
pub struct PromptBudget {
    room: Arc<Semaphore>,
    units: u32,
}

/// Room for one prompt. Dropping it releases the room.
pub struct PromptPermit {
    permit: OwnedSemaphorePermit,
    whole: u32,
}

impl PromptBudget {
    /// 64 MB (DESIGN, the engine room, point 2).
    pub const DEFAULT: usize = 64 * 1024 * 1024;

    pub fn new(bytes: usize) -> Self {
        let units = u32::try_from(bytes / UNIT).unwrap_or(u32::MAX).max(1);
        Self { room: Arc::new(Semaphore::new(units as usize)), units }
    }

    /// A prompt larger than the whole budget takes all of it.
    fn units(&self, bytes: usize) -> u32 {
        if bytes <= SMALL {
            0
        } else {
            u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX).min(self.units)
        }
    }

    /// Room for this many bytes, if it is free.
    pub fn try_acquire(&self, bytes: usize) -> Option<PromptPermit> {
        let permit = self.room.clone().try_acquire_many_owned(self.units(bytes)).ok()?;
        Some(PromptPermit { permit, whole: self.units })
    }

    /// Waits for room for this many bytes. Dropping the future leaves the queue.
    pub async fn acquire(&self, bytes: usize) -> PromptPermit {
        match self.room.clone().acquire_many_owned(self.units(bytes)).await {
            Ok(permit) => PromptPermit { permit, whole: self.units },
            // The semaphore is never closed.
            Err(_) => std::future::pending().await,
        }
    }
}

impl PromptPermit {
    /// Whether the permit has room for this many bytes.
    pub fn covers(&self, bytes: usize) -> bool {
        let units = self.permit.num_permits();
        bytes <= SMALL || units >= self.whole as usize || units >= bytes.div_ceil(UNIT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn room_is_given_back_and_a_giant_takes_all_of_it() {
        const PART: usize = 100 * UNIT;
        let budget = PromptBudget::new(10 * PART);
        let first = budget.try_acquire(6 * PART).unwrap();
        assert!(first.covers(6 * PART) && !first.covers(6 * PART + 1));
        assert!(budget.try_acquire(5 * PART).is_none());
        let second = budget.try_acquire(PART).unwrap();
        drop((first, second));
        let giant = budget.try_acquire(usize::MAX).unwrap();
        assert!(giant.covers(usize::MAX), "it has the whole budget");
        assert!(budget.try_acquire(SMALL + 1).is_none(), "nothing is free");
        let waiting = budget.acquire(PART);
        tokio::pin!(waiting);
        assert!(futures::poll!(&mut waiting).is_pending());
        let small = budget.try_acquire(SMALL).unwrap();
        assert!(small.covers(SMALL) && !small.covers(SMALL + 1), "it goes past those who wait");
        drop(giant);
        assert!(waiting.await.covers(PART));
    }
}
