//! A model server that says what a script tells it to, on the real wire.
//!
//! It speaks the protocols of OpenAI, Anthropic, Gemini and Ollama, streamed and whole, and can fail in the ways that
//! real providers do: refuse, stall, cut the connection, send rubbish. Tests of the engine and of the browser, and the
//! benchmark (as a server without latency), talk to it as to any provider; the product knows nothing of it.
//!
//! | protocol | base URL | served below it |
//! |---|---|---|
//! | OpenAI | `/openai/v1` or `/v1` | `chat/completions`, `models` |
//! | Anthropic | `/anthropic/v1` or `/v1` | `messages`, `models` |
//! | Gemini | `/gemini/v1beta` | `models`, `models/NAME:generateContent`, `…:streamGenerateContent` |
//! | Ollama | `/ollama` or `/` | `api/chat`, `api/tags` |
//!
//! A test scripts it in process:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! use scripted::{Fault, Rule, Server};
//!
//! let server = Server::start().await;
//! server.script(vec![
//!     Rule::fault(Fault::status(429)).times(2),
//!     Rule::text("It is {{last_user}}.").last_user("Tuesday"),
//! ]);
//! let base_url = server.openai_url();
//! # assert!(base_url.ends_with("/openai/v1"));
//! # }
//! ```
//!
//! Other processes do it over the same port: `PUT /script` (a list of rules, or `{"rules": […], "models": […]}`),
//! `GET` and `DELETE /ledger`, `POST /release`. The fields are those of [`Rule`], [`Fault`] and [`Entry`] in camel case:
//!
//! ```json
//! [{"lastUser": "fail", "times": 2, "fault": {"kind": "status", "status": 429, "retryAfter": "1"}},
//!  {"model": "slow", "text": "Hello {{last_user}}", "chunkSize": 4, "firstTokenMs": 300, "chunkMs": 50,
//!   "usage": {"inputTokens": 12, "outputTokens": 3}, "finish": "length"},
//!  {"model": "odd", "text": "half", "finish": {"word": "abort"}, "noEndMark": true},
//!  {"system": "reviewer", "fault": {"kind": "cut", "after": 3}}]
//! ```

mod answer;
mod deliver;
mod ledger;
mod request;
mod routes;
mod script;
mod server;
mod shape;

pub use ledger::{Entry, Outcome};
pub use request::Message;
pub use script::{Fault, Finish, Rule, TokenUsage};
pub use server::Server;
pub use shape::Shape;
