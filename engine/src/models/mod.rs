//! Models: one trait for all providers, and the limits of each.
//!
//! Executors call [`ModelClient`]. [`ProviderClient`] implements it for every kind of provider by means of `genai`; the
//! differences between kinds are in one small file each under [`providers`]. One call is one request on the wire: the
//! engine decides about retries, never a library.
//!
//! An answer counts only if it says why it ended. A stream that merely stops, an empty answer, or a web page instead of
//! an answer is a [`ModelError`] with a class.

mod budget;
mod client;
mod error;
mod event;
mod finish;
mod frames;
mod http;
pub mod limits;
pub mod local;
mod pacer;
pub mod providers;
mod request;
mod stream;
mod watched;
mod wire_error;

pub use budget::{PromptBudget, PromptPermit};
pub use client::{ModelClient, ModelStream, ProviderClient};
pub use error::{ModelError, is_throttled};
pub use event::ModelEvent;
pub use finish::FinishReason;
pub use http::{Http, install_cryptography};
pub use limits::{Priority, ProviderLimits, Slot, Slowdown};
pub use request::{ChatMessage, MessageAuthor, ModelRequest};
