//! The errors of a page's calls to the server, as the page sees them.
//!
//! A fault is small and public: without script it is passed in the URL of the page that is shown again. Details for
//! operators are logged here, once, where the error leaves the engine.

use crate::form::sentence;
use domain::problem::Problem;
use leptos::server_fn::{
    codec::JsonEncoding,
    error::{FromServerFnError, ServerFnErrorErr},
};
use serde::{Deserialize, Serialize};
use std::fmt;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Fault {
    /// No user is signed in, or the e-mail or password is wrong.
    Unauthenticated {
        message: String,
    },
    Forbidden {
        message: String,
    },
    NotFound {
        message: String,
    },
    /// The input is invalid; each problem names its field.
    Invalid {
        problems: Vec<Problem>,
    },
    Conflict {
        message: String,
    },
    /// Another user saved in between; `newest` is the current version.
    Stale {
        newest: u32,
    },
    TooLarge {
        message: String,
    },
    /// Too many attempts, or too much at once; the message says how long to wait.
    Throttled {
        message: String,
    },
    Unavailable {
        message: String,
    },
    Internal {
        message: String,
    },
    /// The server could not be reached, or the response did not come from it.
    Connection {
        message: String,
    },
}

pub type Result<T> = std::result::Result<T, Fault>;

impl Fault {
    /// A problem with one field, found before calling the engine.
    pub fn field(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid { problems: vec![Problem::new(path, message)] }
    }

    /// The problems of the field at `path`; empty for every fault except `Invalid`.
    pub fn problems_at<'a>(&'a self, path: &'a str) -> impl Iterator<Item = &'a Problem> {
        self.problems().iter().filter(move |problem| problem.path == path)
    }

    pub fn problems(&self) -> &[Problem] {
        match self {
            Self::Invalid { problems } => problems,
            _ => &[],
        }
    }

    /// Whether a retry of the same call may succeed.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Internal { .. } | Self::Connection { .. })
    }
}

/// A message for users: what happened, and what to do unless it is obvious.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unauthenticated { message }
            | Self::Forbidden { message }
            | Self::NotFound { message }
            | Self::Conflict { message }
            | Self::TooLarge { message }
            | Self::Throttled { message }
            | Self::Unavailable { message }
            | Self::Internal { message }
            | Self::Connection { message } => f.write_str(&sentence(message)),
            Self::Invalid { problems } => {
                let texts: Vec<_> = problems.iter().map(ToString::to_string).collect();
                f.write_str(&sentence(&texts.join("; ")))
            }
            Self::Stale { newest } => {
                write!(f, "Somebody saved version {newest} in the meantime.")
            }
        }
    }
}

impl std::error::Error for Fault {}

impl FromServerFnError for Fault {
    type Encoder = JsonEncoding;

    fn from_server_fn_error(error: ServerFnErrorErr) -> Self {
        match error {
            ServerFnErrorErr::Request(_) => Self::Connection {
                message: "The server could not be reached. Check the connection and try again.".into(),
            },
            // On the server, the caller's arguments: the message names the place.
            #[cfg(feature = "ssr")]
            ServerFnErrorErr::Deserialization(message)
            | ServerFnErrorErr::Args(message)
            | ServerFnErrorErr::MissingArg(message) => {
                Self::field("", format!("the request could not be read: {message}")).answered()
            }
            // The response did not come from a server function, but from a proxy or a server of another version.
            #[cfg(not(feature = "ssr"))]
            ServerFnErrorErr::Deserialization(_) | ServerFnErrorErr::Response(_) => {
                Self::Connection { message: "The server's answer could not be read. Reload the page.".into() }
            }
            other => Self::Internal { message: other.to_string() },
        }
    }
}

#[cfg(feature = "ssr")]
impl From<engine::Error> for Fault {
    fn from(error: engine::Error) -> Self {
        let message = error.to_string();
        match error {
            engine::Error::Unauthenticated(_) => Self::Unauthenticated { message },
            engine::Error::Forbidden(_) | engine::Error::AdminsOnly | engine::Error::EditorsOnly => {
                Self::Forbidden { message }
            }
            engine::Error::NotFound { .. } => Self::NotFound { message },
            engine::Error::Invalid(problems) => Self::Invalid { problems },
            engine::Error::Conflict(_) => Self::Conflict { message },
            engine::Error::Stale { newest } => Self::Stale { newest },
            engine::Error::TooLarge(_) => Self::TooLarge { message },
            engine::Error::Throttled { .. } | engine::Error::TooMany { .. } => Self::Throttled { message },
            engine::Error::Unavailable(_) => Self::Unavailable { message },
            engine::Error::Internal(source) => {
                tracing::error!(error = %chain(source.as_ref()), "a page's call failed");
                Self::Internal { message }
            }
        }
        .answered()
    }
}

#[cfg(feature = "ssr")]
impl Fault {
    /// Sets the response's status to that of the fault. Faults that come from the engine have already done so.
    pub fn answered(self) -> Self {
        use axum::http::StatusCode;
        answer_with(match self {
            Self::Unauthenticated { .. } => StatusCode::UNAUTHORIZED,
            Self::Forbidden { .. } => StatusCode::FORBIDDEN,
            Self::NotFound { .. } => StatusCode::NOT_FOUND,
            Self::Invalid { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Conflict { .. } | Self::Stale { .. } => StatusCode::CONFLICT,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Throttled { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal { .. } | Self::Connection { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        });
        self
    }
}

/// Sets the response's status, unless a form was posted without script: its response is a redirect, which another
/// status would break.
#[cfg(feature = "ssr")]
fn answer_with(status: axum::http::StatusCode) {
    let Some(response) = leptos::prelude::use_context::<leptos_axum::ResponseOptions>() else { return };
    if !crate::session::posted_without_script() {
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
