//! A client that tells its provider's queue whether the provider accepts the call.

use std::sync::Arc;

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use tokio::time::Instant;

use super::client::{ModelClient, ModelStream};
use super::error::ModelError;
use super::limits::Shared;
use super::request::ModelRequest;

/// The client of one call, created by [`Slot::watch`](super::Slot::watch).
pub(super) struct Watched {
    pub client: Arc<dyn ModelClient>,
    pub shared: Arc<Shared>,
    /// The number of the call's slot.
    pub number: u64,
    /// When the call started.
    pub started: Instant,
}

impl Watched {
    fn failed(shared: &Shared, number: u64, started: Instant, error: &ModelError) {
        if error.is_throttled() {
            shared.refused(number, started, error.retry_after);
        }
    }
}

impl ModelClient for Watched {
    fn stream(&self, request: ModelRequest) -> BoxFuture<'static, Result<ModelStream, ModelError>> {
        let opening = self.client.stream(request);
        let (shared, number, started) = (self.shared.clone(), self.number, self.started);
        async move {
            let answer = opening.await.inspect_err(|error| Self::failed(&shared, number, started, error))?;
            let mut answered = false;
            let watched = answer.inspect(move |item| match item {
                Err(error) => Self::failed(&shared, number, started, error),
                Ok(_) if !answered => {
                    answered = true;
                    shared.answered(number, started);
                }
                Ok(_) => {}
            });
            Ok(watched.boxed())
        }
        .boxed()
    }

    fn list_models(&self) -> BoxFuture<'static, Result<Vec<String>, ModelError>> {
        self.client.list_models()
    }
}
