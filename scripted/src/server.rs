//! The server as a value: started on a free port, scripted and asked by a test, gone when dropped.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::ledger::{Entry, Ledger};
use crate::request::Request;
use crate::routes;
use crate::script::{Rule, Script, ScriptDocument};

/// How long [`Server::wait_for`] waits. Long, for tests share a machine; a passing test never waits it out.
const PATIENCE: Duration = Duration::from_secs(20);

/// What all requests share.
pub(crate) struct Shared {
    script: Mutex<Script>,
    models: Mutex<Vec<String>>,
    pub ledger: Arc<Ledger>,
    requests: AtomicU64,
    releases: watch::Sender<u64>,
    /// How many calls are answered at once; the others are refused with 429.
    at_once: Mutex<Option<usize>>,
}

impl Shared {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            script: Mutex::default(),
            models: Mutex::new(vec!["scripted".to_owned(), "scripted-large".to_owned()]),
            ledger: Arc::default(),
            requests: AtomicU64::new(0),
            releases: watch::Sender::new(0),
            at_once: Mutex::default(),
        })
    }

    pub fn set_script(&self, rules: Vec<Rule>) {
        *self.script.lock().unwrap_or_else(PoisonError::into_inner) = Script::new(rules);
    }

    pub fn set_models(&self, models: Vec<String>) {
        *self.models.lock().unwrap_or_else(PoisonError::into_inner) = models;
    }

    pub fn set_document(&self, document: ScriptDocument) {
        match document {
            ScriptDocument::Rules(rules) => self.set_script(rules),
            ScriptDocument::Full { rules, models } => {
                self.set_script(rules);
                if let Some(models) = models {
                    self.set_models(models);
                }
            }
        }
    }

    pub fn models(&self) -> Vec<String> {
        self.models.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn next_rule(&self, request: &Request) -> Option<(Rule, u32)> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner).next(request)
    }

    /// Whether a call that comes now is one too many.
    pub fn is_full(&self) -> bool {
        let most = *self.at_once.lock().unwrap_or_else(PoisonError::into_inner);
        most.is_some_and(|most| self.ledger.answering() >= most)
    }

    pub fn next_number(&self) -> u64 {
        self.requests.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Lets all answers go on that are held now.
    pub fn release(&self) {
        self.releases.send_modify(|count| *count += 1);
    }

    /// Sees the releases from now on.
    pub fn releases(&self) -> watch::Receiver<u64> {
        self.releases.subscribe()
    }
}

/// A running model server. Dropping it closes its port.
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Server {
    /// Starts on a free port of the loopback interface, for a test.
    ///
    /// # Panics
    ///
    /// When no port can be had.
    pub async fn start() -> Self {
        Self::bind("127.0.0.1:0").await.expect("a free loopback port")
    }

    /// Starts at `address` (`host:port`; port 0 takes a free one). Must be called within a Tokio runtime.
    pub async fn bind(address: &str) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let shared = Shared::new();
        let router = routes::router(shared.clone());
        // Without TCP_NODELAY each small piece of a stream would wait for the previous one's acknowledgement.
        let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
        let task = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                eprintln!("scripted: {error}");
            }
        });
        Ok(Self { address, shared, task })
    }

    /// `http://127.0.0.1:PORT`, without a slash at its end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Base URL for clients of OpenAI or anything compatible.
    pub fn openai_url(&self) -> String {
        format!("{}/openai/v1", self.url())
    }

    pub fn anthropic_url(&self) -> String {
        format!("{}/anthropic/v1", self.url())
    }

    pub fn gemini_url(&self) -> String {
        format!("{}/gemini/v1beta", self.url())
    }

    pub fn ollama_url(&self) -> String {
        format!("{}/ollama", self.url())
    }

    /// Replaces the script; matches are counted anew.
    pub fn script(&self, rules: Vec<Rule>) {
        self.shared.set_script(rules);
    }

    /// Replaces the script by a document such as `PUT /script` takes.
    pub fn script_document(&self, document: &[u8]) -> serde_json::Result<()> {
        self.shared.set_document(serde_json::from_slice(document)?);
        Ok(())
    }

    /// Replaces the names that `GET …/models` lists.
    pub fn models<T: Into<String>>(&self, names: impl IntoIterator<Item = T>) {
        self.shared.set_models(names.into_iter().map(Into::into).collect());
    }

    /// Refuses with 429, and no time to wait, what is more than so many calls at once.
    pub fn at_once(&self, most: usize) {
        *self.shared.at_once.lock().unwrap_or_else(PoisonError::into_inner) = Some(most);
    }

    /// Every request so far, in the order of arrival.
    pub fn ledger(&self) -> Vec<Entry> {
        self.shared.ledger.entries()
    }

    pub fn clear_ledger(&self) {
        self.shared.ledger.clear();
    }

    /// Lets all answers go on that are held now (see [`Rule::hold`]).
    pub fn release(&self) {
        self.shared.release();
    }

    /// Waits until the ledger is as the test wants it, and returns it.
    ///
    /// # Panics
    ///
    /// When that takes longer than 20 seconds.
    pub async fn wait_for(&self, mut wanted: impl FnMut(&[Entry]) -> bool) -> Vec<Entry> {
        let mut changes = self.shared.ledger.subscribe();
        let waiting = async {
            loop {
                let entries = self.ledger();
                if wanted(&entries) {
                    return entries;
                }
                if changes.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(entries) => entries,
            Err(_) => panic!("the ledger did not become as wanted: {:#?}", self.ledger()),
        }
    }

    /// Serves until the process ends; for the binary.
    pub async fn run(mut self) {
        if let Err(error) = (&mut self.task).await {
            eprintln!("scripted: {error}");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}
