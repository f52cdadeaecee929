//! Models: one trait for all who serve them, and what may be asked of each at once.
//!
//! [`ModelClient`] is what executors call. [`ProviderClient`] implements it for every kind of provider by way of
//! `genai`; what differs between kinds stands in one small file each under [`providers`]. One call is one request on the
//! wire: whether to try again is the engine's decision, never a library's.
//!
//! An answer counts only when it says why it ended. A stream that merely stops, an answer with nothing in it, a web
//! page in place of an answer: each is a [`ModelError`] with a class.

mod budget;
mod client;
mod error;
mod event;
mod http;
pub mod limits;
pub mod local;
pub mod providers;
mod request;
mod stream;
mod wire_error;

pub use budget::{PromptBudget, PromptPermit};
pub use client::{ModelClient, ModelStream, ProviderClient};
pub use error::ModelError;
pub use event::{FinishReason, ModelEvent};
pub use http::Http;
pub use limits::{ProviderLimits, Slot};
pub use request::{ChatMessage, MessageAuthor, ModelRequest};
