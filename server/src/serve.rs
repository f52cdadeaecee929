//! Starting and stopping the server.

use crate::{AppState, connections, guard::Functions, listen, router, settings::Settings, site};
use anyhow::{Context, Result};
use axum::Router;
use engine::Engine;
use secrecy::ExposeSecret;
use std::{future::Future, net::SocketAddr, time::Duration};
use tokio::{net::TcpListener, time::timeout};
use tokio_util::sync::CancellationToken;

/// Time limit for the engine to shut down.
const GRACE: Duration = Duration::from_secs(5);

/// A server that has bound its port and opened its data folder.
pub struct Application {
    listener: TcpListener,
    address: SocketAddr,
    router: Router,
    state: AppState,
}

impl Application {
    /// Binds the port first, so that a taken port fails fast, then opens the data folder.
    ///
    /// # Errors
    /// The port cannot be bound or the data folder cannot be opened; the message says what to do.
    pub async fn start(settings: Settings) -> Result<(Self, Option<String>)> {
        let (listener, said) = listen::bind(&settings.listen).await?;
        let address = listener.local_addr().context("the port's number could not be read")?;
        let engine = Engine::open(settings.engine).await?;
        let state = AppState {
            engine,
            options: site::options(&settings.site, address),
            stopping: CancellationToken::new(),
            functions: Functions::registered(),
            gallery: settings.gallery,
        };
        let router = router::router(&state);
        Ok((Self { listener, address, router, state }, said))
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn engine(&self) -> &Engine {
        &self.state.engine
    }

    /// Serves until `stop`, then ends streams, lets open requests finish and closes the data folder.
    pub async fn run_until(self, stop: impl Future<Output = ()>) {
        let Self { listener, router, state, .. } = self;
        let stopping = state.stopping.clone();
        let serving = connections::serve(listener, router, stopping.clone());
        tokio::join!(serving, async {
            stop.await;
            stopping.cancel();
        });
        if timeout(GRACE, state.engine.shutdown()).await.is_err() {
            tracing::warn!("the engine did not end in time; unfinished runs go on at the next start");
        }
    }
}

/// Serves until the process is told to stop.
///
/// # Errors
/// See [`Application::start`].
pub async fn serve(settings: Settings) -> Result<()> {
    connections::raise_limit();
    if !settings.site.join("pkg").is_dir() {
        tracing::warn!(
            site = %settings.site.display(),
            "there is no built site here, so pages come without style and script; make it with `make site`, or say \
             where it is with TROUPE_SITE"
        );
    }
    let (application, said) = Application::start(settings).await?;
    if let Some(said) = said {
        println!("{said}");
    }
    let url = url(application.address());
    println!("Troupe is ready at {url}");
    if let Some(token) = application.engine().first_run_token().await? {
        println!("There is no administrator yet. Open this link, which works once, to become the first:");
        println!("  {url}/first-run?token={}", token.expose_secret());
    }
    application.run_until(told_to_stop()).await;
    Ok(())
}

/// The address for a browser on this machine.
fn url(address: SocketAddr) -> String {
    match address.ip().is_unspecified() {
        true => format!("http://127.0.0.1:{}", address.port()),
        false => format!("http://{address}"),
    }
}

async fn told_to_stop() {
    let interrupted = async {
        if let Err(error) = tokio::signal::ctrl_c().await {
            tracing::error!(%error, "cannot listen for interrupts");
            std::future::pending::<()>().await;
        }
    };
    #[cfg(unix)]
    let terminated = async {
        use tokio::signal::unix::{SignalKind, signal};
        match signal(SignalKind::terminate()) {
            Ok(mut signals) => drop(signals.recv().await),
            Err(error) => {
                tracing::error!(%error, "cannot listen for the signal to terminate");
                std::future::pending::<()>().await;
            }
        }
    };
    #[cfg(not(unix))]
    let terminated = std::future::pending::<()>();
    tokio::select! {
        () = interrupted => {}
        () = terminated => {}
    }
    tracing::info!("stopping");
}
