//! Templates: the document, its checks, and the plan made from it.
//!
//! The document's types are always compiled, for the browser too; reading and checking documents needs the feature
//! `evaluate`.

pub mod document;
pub mod shipped;
mod support;
mod waits;

pub use document::{API_VERSION, Step, StepType, Template, Uses};
pub use support::unsupported;
pub use waits::{upstream, waits, waves};

#[cfg(feature = "evaluate")]
mod check;
#[cfg(feature = "evaluate")]
mod compile;
#[cfg(feature = "evaluate")]
mod emit;
#[cfg(feature = "evaluate")]
mod flow;
#[cfg(feature = "evaluate")]
mod json;
#[cfg(feature = "evaluate")]
mod parse;
#[cfg(feature = "evaluate")]
pub(crate) mod place;
#[cfg(feature = "evaluate")]
mod revise;
#[cfg(feature = "evaluate")]
mod yaml;

#[cfg(feature = "evaluate")]
pub use check::{Checked, Format, MAX_BYTES, check, check_with, parse};
#[cfg(feature = "evaluate")]
pub use compile::{compile, compile_with, outline};
#[cfg(feature = "evaluate")]
pub use flow::MAX_EDGES;
#[cfg(feature = "evaluate")]
pub use parse::{MAX_NAME, MAX_RETRIES, MAX_STEPS, MAX_TIMEOUT_MS};
#[cfg(feature = "evaluate")]
pub use revise::{Revised, revise, step_lines};

#[cfg(all(test, feature = "evaluate"))]
mod tests;
