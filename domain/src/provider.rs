//! The kinds of model providers that the product supports.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The protocol of a provider. The serialised names are those of `POST /api/v1/providers`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ProviderKind {
    #[serde(rename = "openai")]
    OpenAi,
    /// Any provider with OpenAI's chat completions API at its own base URL.
    #[serde(rename = "openai-compatible")]
    OpenAiCompatible,
    #[serde(rename = "anthropic")]
    Anthropic,
    #[serde(rename = "gemini")]
    Gemini,
    #[serde(rename = "ollama")]
    Ollama,
    /// The small model that ships with the product, served by a child process of the server.
    #[serde(rename = "local")]
    Local,
}

impl ProviderKind {
    pub const ALL: [Self; 6] =
        [Self::OpenAi, Self::OpenAiCompatible, Self::Anthropic, Self::Gemini, Self::Ollama, Self::Local];

    /// The kind's name in settings, the API and the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::OpenAiCompatible => "openai-compatible",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
            Self::Ollama => "ollama",
            Self::Local => "local",
        }
    }
}

impl fmt::Display for ProviderKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The given name is not a kind of provider.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown kind of provider: {0:?}; known are openai, openai-compatible, anthropic, gemini, ollama and local"
)]
pub struct UnknownProviderKind(pub String);

impl FromStr for ProviderKind {
    type Err = UnknownProviderKind;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == word)
            .ok_or_else(|| UnknownProviderKind(word.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::{ProviderKind, UnknownProviderKind};

    #[test]
    fn words_are_the_same_in_json_and_text() {
        for kind in ProviderKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.to_string());
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        assert_eq!("OpenAI".parse::<ProviderKind>(), Err(UnknownProviderKind("OpenAI".into())));
    }
}
