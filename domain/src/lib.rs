//! The pure core of Troupe: documents, plans, events, the fold of a run, and the planner of its next step.
//!
//! Nothing here does IO, reads a clock, generates an id, or depends on SQL or HTTP. Everything except the parts behind
//! the feature `evaluate` runs in both the server and the browser.

pub mod access;
pub mod branch;
pub mod comparison;
pub mod decision;
pub mod error;
pub mod event;
#[cfg(feature = "evaluate")]
pub mod expression;
pub mod file;
pub mod fork;
pub mod id;
pub mod json;
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
