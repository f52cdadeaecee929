//! The local model as a provider, started by its first call.

use crate::models::{
    Http, ModelClient, ModelError, ModelRequest, ModelStream, ProviderClient,
    local::{LocalModel, LocalModelError, LocalModelStatus},
};
use domain::{error::ErrorClass, provider::ProviderKind, view::ProviderStatus};
use futures::{FutureExt, future::BoxFuture};

pub(super) struct LocalClient {
    model: LocalModel,
    http: Http,
}

impl LocalClient {
    pub fn new(model: LocalModel, http: Http) -> Self {
        Self { model, http }
    }
}

impl ModelClient for LocalClient {
    fn stream(&self, request: ModelRequest) -> BoxFuture<'static, Result<ModelStream, ModelError>> {
        let (model, http) = (self.model.clone(), self.http.clone());
        async move {
            if let Some(name) = model.model_name()
                && name != request.model
            {
                // The local server would answer to any name, and the run's record would name a model that was never
                // used.
                let message = format!(
                    "The local model here is '{name}', not '{}'; change the role's model",
                    request.model
                );
                return Err(ModelError::new(ErrorClass::BadRequest, message));
            }
            let base_url = model.base_url().await.map_err(asleep)?;
            ProviderClient::new(ProviderKind::Local, Some(&base_url), None, &http)?.stream(request).await
        }
        .boxed()
    }

    fn list_models(&self) -> BoxFuture<'static, Result<Vec<String>, ModelError>> {
        let name = self.model.model_name().ok_or_else(|| asleep(LocalModelError::NotInstalled));
        std::future::ready(name.map(|name| vec![name])).boxed()
    }
}

fn asleep(error: LocalModelError) -> ModelError {
    let class = match &error {
        LocalModelError::NotInstalled => ErrorClass::BadRequest,
        LocalModelError::Failed { .. } | LocalModelError::Stopped => ErrorClass::Overload,
    };
    let mut failed = ModelError::new(class, error.to_string());
    if let LocalModelError::Failed { retry_in, .. } = error {
        failed.retry_after = Some(retry_in).filter(|wait| !wait.is_zero());
    }
    failed
}

/// The local model's state, without starting it.
pub(super) fn status(model: &LocalModel) -> ProviderStatus {
    let models = Vec::from_iter(model.model_name());
    match model.status() {
        LocalModelStatus::NotInstalled { how } => ProviderStatus::Failed { message: how.to_owned() },
        LocalModelStatus::Idle | LocalModelStatus::Starting => ProviderStatus::Idle { models },
        LocalModelStatus::Running { .. } => ProviderStatus::Reachable { models },
        LocalModelStatus::Failed { message, .. } => ProviderStatus::Failed { message },
    }
}
