//! The pure core of Troupe: documents, plans, events, the fold of a run, and what decides its next step.
//!
//! Nothing here does IO, reads a clock, mints an id, or knows SQL or HTTP; all of it but what the feature `evaluate`
//! adds runs in the server and in the browser alike.

pub mod access;
pub mod branch;
pub mod comparison;
pub mod error;
pub mod event;
#[cfg(feature = "evaluate")]
pub mod expression;
pub mod file;
pub mod id;
pub mod key;
pub mod plan;
pub mod price;
pub mod problem;
pub mod provider;
pub mod role;
pub mod run;
pub mod schema;
pub mod template;
pub mod usage;
pub mod view;
