//! The classes of failure that a step's attempt, or a whole run, can end in.
//!
//! The class decides what happens next: an attempt whose class is [`ErrorClass::is_retryable`] is retried within the
//! step's `maxRetries`, any other ends the step. Every failure carries its class, from the provider to the page.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why an attempt failed. The order is that of DESIGN.md, section 5: retried classes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ErrorClass {
    /// The provider asks us to slow down (HTTP 429).
    RateLimit,
    /// The provider has an internal error or is overloaded (HTTP 5xx).
    Overload,
    /// The provider could not be reached, or the response did not come from a model.
    Network,
    /// No data arrived within the time limit.
    Timeout,
    /// The answer ended before it was complete.
    Truncated,
    /// The answer is empty.
    Empty,
    /// The answer does not match the required format.
    InvalidOutput,
    /// The model or the provider's content filter declined to answer.
    Refused,
    /// The API key is missing, wrong, or lacks the permission.
    Auth,
    /// The request itself is wrong: unknown model, bad parameter, too long.
    BadRequest,
    /// A user cancelled the run.
    Cancelled,
    /// An expression of the template could not be evaluated.
    Expression,
    /// The server stopped while the attempt ran.
    Interrupted,
    /// A limit of this installation was reached.
    Limit,
    /// The project has no role that could execute the step.
    NoRoles,
}

impl ErrorClass {
    /// Whether another attempt with the same request may succeed.
    pub fn is_retryable(self) -> bool {
        match self {
            Self::RateLimit
            | Self::Overload
            | Self::Network
            | Self::Timeout
            | Self::Truncated
            | Self::Empty
            | Self::InvalidOutput => true,
            Self::Refused
            | Self::Auth
            | Self::BadRequest
            | Self::Cancelled
            | Self::Expression
            | Self::Interrupted
            | Self::Limit
            | Self::NoRoles => false,
        }
    }
}

/// A plain-language name, for pages and logs.
impl fmt::Display for ErrorClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RateLimit => "rate limit",
            Self::Overload => "provider overloaded",
            Self::Network => "network error",
            Self::Timeout => "timed out",
            Self::Truncated => "answer cut off",
            Self::Empty => "empty answer",
            Self::InvalidOutput => "invalid output",
            Self::Refused => "refused",
            Self::Auth => "not authorised",
            Self::BadRequest => "bad request",
            Self::Cancelled => "cancelled",
            Self::Expression => "expression error",
            Self::Interrupted => "interrupted",
            Self::Limit => "limit reached",
            Self::NoRoles => "no roles",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::ErrorClass;

    #[test]
    fn classes_travel_in_camel_case_and_only_those_before_refused_are_retried() {
        let table = [
            (ErrorClass::RateLimit, "rateLimit", true),
            (ErrorClass::Overload, "overload", true),
            (ErrorClass::Network, "network", true),
            (ErrorClass::Timeout, "timeout", true),
            (ErrorClass::Truncated, "truncated", true),
            (ErrorClass::Empty, "empty", true),
            (ErrorClass::InvalidOutput, "invalidOutput", true),
            (ErrorClass::Refused, "refused", false),
            (ErrorClass::Auth, "auth", false),
            (ErrorClass::BadRequest, "badRequest", false),
            (ErrorClass::Cancelled, "cancelled", false),
            (ErrorClass::Expression, "expression", false),
            (ErrorClass::Interrupted, "interrupted", false),
            (ErrorClass::Limit, "limit", false),
            (ErrorClass::NoRoles, "noRoles", false),
        ];
        for (class, word, retryable) in table {
            assert_eq!(serde_json::to_value(class).unwrap(), word);
            assert_eq!(serde_json::from_value::<ErrorClass>(word.into()).unwrap(), class);
            assert_eq!(class.is_retryable(), retryable, "{word}");
            assert_eq!(class.is_retryable(), class < ErrorClass::Refused, "{word}");
        }
    }
}
