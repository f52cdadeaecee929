//! The engine: all functions of Troupe, behind one handle.
//!
//! [`Engine`] is the crate's only public interface. A command takes the [`User`] who issues it, checks that user's
//! permission in the project, and is one transaction. Rows never leave [`store`]; callers get the types of
//! `domain::view`.

pub mod models;

mod accounts;
mod background;
mod comparisons;
mod config;
mod conversations;
mod dashboard;
mod delivery;
mod error;
mod fence;
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
mod tally;
mod templates;
mod transcript;
mod turns;

/// Internal parsers, exposed for fuzzing.
#[doc(hidden)]
pub mod fuzzed {
    pub use crate::{fence::fuzzed as fences, pagination::fuzzed as list_cursor};
}

pub use accounts::Session;
pub use comparisons::VerdictDraft;
pub use config::{Config, Environment};
pub use conversations::MessageWindow;
pub use delivery::{Delivery, Local};
pub use domain::view::User;
pub use error::{Error, Result, StartError};
pub use live::{CredentialId, Cursor, LiveStream, Seat};
pub use markdown::plain_line;
pub use providers::ProviderDraft;
pub use roles::TrialEvent;
pub use runs::{AnswerDraft, Expression, Fork, Launch, Pace, RunFilter, Subject, Waited};
pub use templates::{CheckedText, Format};
pub use transcript::Extent;

use folder::Serving;
use std::sync::Arc;

/// A handle on the engine; cheap to clone.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    /// Holds the folder's lock.
    #[expect(dead_code)]
    folder: folder::Folder,
    store: store::Store,
    accounts: accounts::Accounts,
    secrets: secrets::Vault,
    models: providers::Models,
    prompts: models::PromptBudget,
    prices: prices::Prices,
    runs: runs::Runs,
    delivery: Box<dyn Delivery>,
    live: live::Hub,
    prune_signal: Arc<live::PruneSignal>,
    presence: presence::Presence,
    rendered: markdown::Rendered,
    turns: turns::Turns,
    viewers: live::Viewers,
}

impl Engine {
    /// Opens the data folder, migrates the database, and resumes unfinished runs.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn open(config: Config) -> Result<Self, StartError> {
        Self::open_with(config, Pace::default(), Box::new(Local)).await
    }

    /// Like [`Engine::open`], with another delivery, or on a database that other servers share.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn open_with(
        config: Config,
        pace: Pace,
        delivery: Box<dyn Delivery>,
    ) -> Result<Self, StartError> {
        let mut folder = folder::Folder::open(&config.data)?;
        let serving = match (config.serve, pace.lease) {
            (false, _) => Serving::No,
            (true, None) => Serving::Alone,
            (true, Some(_)) => Serving::Shared,
        };
        let store = if serving != Serving::Alone && store::is_behind(&config.data).await? {
            // Another server may be running, whose tables must not be migrated.
            let alone = folder.keep_servers_out()?;
            let store = store::Store::open(&config.data).await?;
            drop(alone);
            folder.lock(serving)?;
            store
        } else {
            folder.lock(serving)?;
            store::Store::open(&config.data).await?
        };
        let secrets = secrets::Vault::open(&config.data)?;
        let models = providers::Models::open(&config, &store, &secrets).await?;
        let prices = prices::Prices::open(&store).await?;
        let runs = runs::Runs::new(pace).map_err(StartError::Seed)?;
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
            delivery,
            live,
            prune_signal: Arc::default(),
            presence,
            rendered,
            turns: turns::Turns::default(),
            viewers: live::Viewers::default(),
        };
        let engine = Self(Arc::new(inner));
        if seed_demo {
            seed::demo(&engine).await.map_err(StartError::Seed)?;
        }
        if serve {
            engine.take_up_unfinished().await.map_err(StartError::Seed)?;
            background::start_all(&engine);
        }
        Ok(engine)
    }

    /// Stops accepting commands and executing runs; unfinished runs resume at the next start.
    pub async fn shutdown(&self) {
        self.0.runs.stop().await;
        self.forget_takes().await;
        self.leave_servers().await;
        self.0.models.stop().await;
        self.0.store.close().await;
    }
}

/// Runs the work to its end even if the caller disconnects, because it must not be left half done.
pub(crate) async fn to_its_end<T: Send + 'static>(
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    tokio::spawn(work).await.map_err(Error::internal)?
}
