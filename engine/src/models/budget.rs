//! How much prompt text may be in flight at once, over all providers: calls are admitted by bytes as well as by number.

use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes of one permit.
const UNIT: usize = 1024;

/// A budget of bytes, shared by all calls. Those who wait for room get it in the order in which they asked.
#[derive(Clone)]
pub struct PromptBudget {
    room: Arc<Semaphore>,
    units: u32,
}

/// Room for one prompt. Dropping it gives it back.
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
        u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX).clamp(1, self.units)
    }

    /// Room for so many bytes, if there is.
    pub fn try_acquire(&self, bytes: usize) -> Option<PromptPermit> {
        let permit = self.room.clone().try_acquire_many_owned(self.units(bytes)).ok()?;
        Some(PromptPermit { permit, whole: self.units })
    }

    /// Room for so many bytes, when it is there. Dropping the future leaves the queue.
    pub async fn acquire(&self, bytes: usize) -> PromptPermit {
        match self.room.clone().acquire_many_owned(self.units(bytes)).await {
            Ok(permit) => PromptPermit { permit, whole: self.units },
            // The semaphore is never closed.
            Err(_) => std::future::pending().await,
        }
    }
}

impl PromptPermit {
    /// Whether it is room enough for so many bytes.
    pub fn covers(&self, bytes: usize) -> bool {
        let units = self.permit.num_permits();
        units >= self.whole as usize || units >= bytes.div_ceil(UNIT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn room_is_given_back_and_a_giant_takes_all_of_it() {
        let budget = PromptBudget::new(10 * UNIT);
        let first = budget.try_acquire(6 * UNIT).unwrap();
        assert!(first.covers(6 * UNIT) && !first.covers(6 * UNIT + 1));
        assert!(budget.try_acquire(5 * UNIT).is_none());
        let small = budget.try_acquire(1).unwrap();
        drop((first, small));
        let giant = budget.try_acquire(usize::MAX).unwrap();
        assert!(giant.covers(usize::MAX), "it has the whole budget");
        assert!(budget.try_acquire(0).is_none(), "nothing is free");
        let waiting = budget.acquire(UNIT);
        tokio::pin!(waiting);
        assert!(futures::poll!(&mut waiting).is_pending());
        drop(giant);
        assert!(waiting.await.covers(UNIT));
    }
}
