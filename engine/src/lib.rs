//! The engine: everything that Troupe does, behind one handle.
//!
//! [`Engine`] is the crate's one public face. A command takes the [`User`] who gives it, checks their permission in the
//! project, and is one transaction. Rows never leave [`store`]; callers get the shapes of `domain::view`.

pub mod models;

mod accounts;
mod comparisons;
mod config;
mod conversations;
mod dashboard;
mod error;
mod folder;
mod inbox;
mod live;
mod markdown;
mod pagination;
mod presence;
mod presets;
mod prices;
mod projects;
mod providers;
mod roles;
mod runs;
mod search;
mod secrets;
mod seed;
mod store;
mod templates;
mod transcript;

pub use accounts::Session;
pub use comparisons::VerdictDraft;
pub use config::{Config, Environment};
pub use conversations::MessageWindow;
pub use domain::view::User;
pub use error::{Error, Result, StartError};
pub use live::{Cursor, LiveStream};
pub use markdown::plain_line;
pub use providers::ProviderDraft;
pub use roles::TrialEvent;
pub use runs::{AnswerDraft, Expression, Fork, Launch, RunFilter, Subject};
pub use templates::Format;
pub use transcript::Extent;

use std::sync::Arc;

/// A handle on the engine; cheap to clone.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    /// Held for its lock.
    #[expect(dead_code)]
    folder: folder::Folder,
    store: store::Store,
    accounts: accounts::Accounts,
    secrets: secrets::Vault,
    models: providers::Models,
    prompts: models::PromptBudget,
    prices: prices::Prices,
    runs: runs::Runs,
    live: live::Hub,
    presence: presence::Presence,
    rendered: markdown::Rendered,
}

impl Engine {
    /// Opens the data folder, brings the database up to date, takes up unfinished runs.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn open(config: Config) -> Result<Self, StartError> {
        let folder = folder::Folder::open(&config.data, config.serve)?;
        let store = store::Store::open(&config.data).await?;
        let secrets = secrets::Vault::open(&config.data)?;
        let models = providers::Models::open(&config, &store, &secrets).await?;
        let prices = prices::Prices::open(&store).await?;
        let runs = runs::Runs::new().map_err(StartError::Seed)?;
        let (serve, seed_demo) = (config.serve, config.seed_demo);
        let accounts = accounts::Accounts::new();
        let prompts = models::PromptBudget::new(models::PromptBudget::DEFAULT);
        let (live, presence, rendered) =
            (live::Hub::default(), presence::Presence::default(), markdown::Rendered::new());
        let inner = Inner {
            folder,
            store,
            accounts,
            secrets,
            models,
            prompts,
            prices,
            runs,
            live,
            presence,
            rendered,
        };
        let engine = Self(Arc::new(inner));
        if seed_demo {
            seed::demo(&engine).await.map_err(StartError::Seed)?;
        }
        if serve {
            engine.take_up_unfinished().await.map_err(StartError::Seed)?;
            engine.0.runs.spawn_background(engine.clone().keep_index());
        }
        Ok(engine)
    }

    /// Stops taking commands and executing; unfinished runs go on at the next start.
    pub async fn shutdown(&self) {
        self.0.runs.stop().await;
        self.forget_takes().await;
        self.0.models.stop().await;
        self.0.store.close().await;
    }
}

/// Goes on when the one who asked goes away: for what must not be left half done.
pub(crate) async fn to_its_end<T: Send + 'static>(
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    tokio::spawn(work).await.map_err(Error::internal)?
}
