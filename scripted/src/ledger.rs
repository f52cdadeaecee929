//! What was asked, by whom, and whether they stayed to hear the end.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::request::{Message, Request};
use crate::shape::Shape;

/// Older entries make way, so that a benchmark does not fill the memory.
const KEPT: usize = 20_000;

/// One request for an answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Numbered from 1 since the start, gaps never.
    pub number: u64,
    pub path: String,
    pub shape: Shape,
    pub model: String,
    pub system: Option<String>,
    /// Without the system texts.
    pub messages: Vec<Message>,
    pub stream: bool,
    /// What form the answer must have: a JSON Schema, or the word `json`.
    pub format: Option<serde_json::Value>,
    /// The key that came along, in whichever header the protocol has for it.
    pub api_key: Option<String>,
    /// Milliseconds since 1970.
    pub received_at: u64,
    /// The same moment in microseconds: what lies between two calls of a run may be less than a millisecond.
    pub received_micros: u64,
    /// Milliseconds since 1970; none while the answer is under way.
    pub ended_at: Option<u64>,
    pub outcome: Outcome,
}

impl Entry {
    /// The last message of the user, as the script's rules see it.
    pub fn last_user(&self) -> &str {
        let user = self.messages.iter().rev().find(|message| message.role == "user");
        user.map_or("", |message| &message.content)
    }
}

/// How the exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// Not yet over.
    Answering,
    /// All that the script wanted was sent, a scripted cut or refusal included.
    Sent,
    /// The client closed the connection before that.
    HungUp,
}

/// Shared by all requests of a server.
pub(crate) struct Ledger {
    entries: Mutex<VecDeque<Entry>>,
    changed: watch::Sender<()>,
}

impl Default for Ledger {
    fn default() -> Self {
        Self { entries: Mutex::default(), changed: watch::Sender::new(()) }
    }
}

impl Ledger {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters a request. The slip that comes back notes how it ends.
    pub fn enter(
        self: &Arc<Self>,
        number: u64,
        path: String,
        api_key: Option<String>,
        request: Request,
    ) -> Slip {
        let received = since_1970();
        let entry = Entry {
            number,
            path,
            shape: request.shape,
            model: request.model,
            system: request.system,
            messages: request.messages,
            stream: request.stream,
            format: request.format,
            api_key,
            received_at: received.as_millis() as u64,
            received_micros: received.as_micros() as u64,
            ended_at: None,
            outcome: Outcome::Answering,
        };
        let mut entries = self.lock();
        if entries.len() == KEPT {
            entries.pop_front();
        }
        entries.push_back(entry);
        drop(entries);
        self.changed.send_replace(());
        Slip { ledger: self.clone(), number, outcome: Outcome::HungUp }
    }

    /// How many answers are under way.
    pub fn answering(&self) -> usize {
        self.lock().iter().filter(|entry| entry.outcome == Outcome::Answering).count()
    }

    pub fn entries(&self) -> Vec<Entry> {
        self.lock().iter().cloned().collect()
    }

    pub fn clear(&self) {
        self.lock().clear();
    }

    pub fn subscribe(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }
}

/// Held while a request is answered. Dropped without [`Slip::sent`], it says that the client hung up: the only other
/// reason why an answer is dropped.
pub(crate) struct Slip {
    ledger: Arc<Ledger>,
    number: u64,
    outcome: Outcome,
}

impl Slip {
    pub fn sent(&mut self) {
        self.outcome = Outcome::Sent;
    }
}

impl Drop for Slip {
    fn drop(&mut self) {
        let mut entries = self.ledger.lock();
        // Requests enter in about the order of their numbers, and most are still near the end.
        if let Some(entry) = entries.iter_mut().rev().find(|entry| entry.number == self.number) {
            entry.outcome = self.outcome;
            entry.ended_at = Some(since_1970().as_millis() as u64);
        }
        drop(entries);
        self.ledger.changed.send_replace(());
    }
}

fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
