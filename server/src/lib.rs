//! The interfaces of Troupe: the command line, the REST interface, the pages and their live streams.
//!
//! A request passes, from the outside in: [`connections`] (limits of number and time), [`telemetry`] (a request id, a span, panic handling), [`headers`] (security
//! headers), compression, [`guard`] (authentication and origin checks), [`body`] (size limits), and then a route.
//! There is no business logic here: a route parses the request, makes one call of the engine, and formats the
//! response.
//!
//! Invariant: every route that [`guard`] does not name as open requires authentication.

#![recursion_limit = "256"]

pub mod cli;
pub mod guard;
pub mod problem;
pub mod router;
pub mod routes;
pub mod serve;
pub mod settings;

mod body;
mod browser;
mod connections;
mod extract;
mod headers;
mod listen;
mod pages;
mod prefer;
mod rest;
mod site;
mod state;
mod telemetry;
mod watch;

pub use serve::Application;
pub use state::AppState;
