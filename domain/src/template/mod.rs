//! Templates: the document, its checks, and the plan made of it.
//!
//! The document's types and the plan always compile, for the browser too; reading and checking documents needs
//! the feature `evaluate`.

pub mod document;

pub use document::{OnFailure, Step, StepType, Template, Uses};
