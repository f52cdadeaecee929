//! What can go wrong with a page's call to the server, as the page sees it.
//!
//! A fault is small and public: without script it travels in the address of the page that is shown again. What only an
//! operator may see is logged here, once, where it leaves the engine.

use domain::problem::Problem;
use leptos::server_fn::{
    codec::JsonEncoding,
    error::{FromServerFnError, ServerFnErrorErr},
};
use serde::{Deserialize, Serialize};
use std::fmt;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "camelCase")]
pub enum Fault {
    /// Nobody is signed in, or the e-mail or password is wrong.
    Unauthenticated {
        message: String,
    },
    Forbidden {
        message: String,
    },
    NotFound {
        message: String,
    },
    /// What was given cannot be accepted; each problem names its field.
    Invalid {
        problems: Vec<Problem>,
    },
    Conflict {
        message: String,
    },
    /// Saved by somebody else in between; `newest` is the version there is now.
    Stale {
        newest: u32,
    },
    TooLarge {
        message: String,
    },
    Unavailable {
        message: String,
    },
    Internal {
        message: String,
    },
    /// The server could not be reached, or what answered was not our server.
    Connection {
        message: String,
    },
}

pub type Result<T> = std::result::Result<T, Fault>;

impl Fault {
    /// A problem with one field, found before the engine was asked.
    pub fn field(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid { problems: vec![Problem::new(path, message)] }
    }

    /// The problems of the field at `path`; empty for every fault but `Invalid`.
    pub fn problems_at<'a>(&'a self, path: &'a str) -> impl Iterator<Item = &'a Problem> {
        self.problems().iter().filter(move |problem| problem.path == path)
    }

    pub fn problems(&self) -> &[Problem] {
        match self {
            Self::Invalid { problems } => problems,
            _ => &[],
        }
    }

    /// Whether the same call may succeed when it is made again.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Internal { .. } | Self::Connection { .. })
    }
}

/// Plain words for a person: what happened, and what to do where that is not plain.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unauthenticated { message }
            | Self::Forbidden { message }
            | Self::NotFound { message }
            | Self::Conflict { message }
            | Self::TooLarge { message }
            | Self::Unavailable { message }
            | Self::Internal { message }
            | Self::Connection { message } => sentence(f, message),
            Self::Invalid { problems } => {
                let texts: Vec<_> = problems.iter().map(ToString::to_string).collect();
                sentence(f, &texts.join("; "))
            }
            Self::Stale { newest } => {
                write!(f, "Somebody saved version {newest} in the meantime.")
            }
        }
    }
}

/// The engine's messages are clauses; a page shows sentences.
fn sentence(f: &mut fmt::Formatter<'_>, message: &str) -> fmt::Result {
    let mut characters = message.chars();
    if let Some(first) = characters.next() {
        write!(f, "{}{}", first.to_uppercase(), characters.as_str())?;
    }
    if message.ends_with(['.', '!', '?']) { Ok(()) } else { f.write_str(".") }
}

impl std::error::Error for Fault {}

impl FromServerFnError for Fault {
    type Encoder = JsonEncoding;

    fn from_server_fn_error(error: ServerFnErrorErr) -> Self {
        match error {
            ServerFnErrorErr::Request(_) => Self::Connection {
                message: "The server could not be reached. Check the connection and try again.".into(),
            },
            // What answered was not a server function: a proxy's page, or a server of another version.
            ServerFnErrorErr::Deserialization(_) | ServerFnErrorErr::Response(_) => {
                Self::Connection { message: "The server's answer could not be read. Reload the page.".into() }
            }
            ServerFnErrorErr::Args(message) | ServerFnErrorErr::MissingArg(message) => {
                Self::field("", message)
            }
            other => Self::Internal { message: other.to_string() },
        }
    }
}

#[cfg(feature = "ssr")]
impl From<engine::Error> for Fault {
    fn from(error: engine::Error) -> Self {
        use axum::http::StatusCode;
        let message = error.to_string();
        let (status, fault) = match error {
            engine::Error::Unauthenticated(_) => {
                (StatusCode::UNAUTHORIZED, Self::Unauthenticated { message })
            }
            engine::Error::Forbidden(_) | engine::Error::AdminsOnly => {
                (StatusCode::FORBIDDEN, Self::Forbidden { message })
            }
            engine::Error::NotFound { .. } => (StatusCode::NOT_FOUND, Self::NotFound { message }),
            engine::Error::Invalid(problems) => {
                (StatusCode::UNPROCESSABLE_ENTITY, Self::Invalid { problems })
            }
            engine::Error::Conflict(_) => (StatusCode::CONFLICT, Self::Conflict { message }),
            engine::Error::Stale { newest } => (StatusCode::CONFLICT, Self::Stale { newest }),
            engine::Error::TooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, Self::TooLarge { message }),
            engine::Error::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, Self::Unavailable { message }),
            engine::Error::Internal(source) => {
                tracing::error!(error = %chain(source.as_ref()), "a page's call failed");
                (StatusCode::INTERNAL_SERVER_ERROR, Self::Internal { message })
            }
            engine::Error::Throttled { .. } => (StatusCode::TOO_MANY_REQUESTS, Self::Unavailable { message }),
        };
        answer_with(status);
        fault
    }
}

/// Sets the status of the answer, unless a form was posted without script: that is answered by a redirect, which a
/// status of our own would break.
#[cfg(feature = "ssr")]
pub(crate) fn answer_with(status: axum::http::StatusCode) {
    use axum::http::{Method, header::ACCEPT, request::Parts};
    use leptos::prelude::use_context;
    let Some(response) = use_context::<leptos_axum::ResponseOptions>() else { return };
    let plain_form = use_context::<Parts>().is_some_and(|parts| {
        let accept = parts.headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("");
        parts.method != Method::GET && accept.contains("text/html")
    });
    if !plain_form {
        response.set_status(status);
    }
}

#[cfg(feature = "ssr")]
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let sources = std::iter::successors(Some(error), |error| error.source());
    sources.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_survives_the_wire_and_reads_as_a_sentence() {
        let faults = [
            (Fault::NotFound { message: "there is no role 'x'".into() }, "There is no role 'x'."),
            (Fault::field("email", "is missing"), "Email: is missing."),
            (Fault::Stale { newest: 3 }, "Somebody saved version 3 in the meantime."),
        ];
        for (fault, text) in faults {
            assert_eq!(Fault::de(fault.ser()), fault);
            assert_eq!(fault.to_string(), text);
        }
    }
}
