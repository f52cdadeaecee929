//! The doors of Troupe: its command line, the REST interface, the pages and what keeps them live.
//!
//! A request passes, from the outside in: [`telemetry`] (an id, a span, a net for panics), [`headers`] (what a browser
//! must be told), compression, [`guard`] (who asks, and from where), [`body`] (how much they may send), and then a
//! route. No business rule lives here: a route parses, makes one call of the engine, and shapes the answer.
//!
//! Always true: whatever is not named in [`guard`] as open to strangers is closed to them.

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
mod extract;
mod headers;
mod listen;
mod pages;
mod rest;
mod site;
mod state;
mod telemetry;
mod watch;

pub use serve::Application;
pub use state::AppState;
