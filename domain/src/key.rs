//! Keys: the names by which people, URLs and documents refer to projects, templates, roles and providers.
//!
//! A key that exists is valid: every constructor (parsing, deserialising, deriving from a title) checks it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The longest key. Keys appear in URLs and in narrow columns.
pub const MAX_LENGTH: usize = 64;

/// The longest [`ModelName`]: providers name models by long paths.
pub const MAX_MODEL_NAME_LENGTH: usize = 200;

/// Why a text is not a valid key, worded for the person who typed it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("a key must not be empty")]
    Empty,
    #[error("a key has at most {MAX_LENGTH} characters, this one has {0}")]
    TooLong(usize),
    #[error("a key starts with a lowercase letter or a digit, not with '{0}'")]
    BadStart(char),
    #[error("a key has lowercase letters, digits, '-' and '_' only, not '{0}'")]
    BadCharacter(char),
    #[error("a model is named as provider/model, such as local/smollm2")]
    NotAModelName,
    #[error("a model's name has at most {MAX_MODEL_NAME_LENGTH} characters and no spaces")]
    BadModelName,
}

fn check(text: &str) -> Result<(), KeyError> {
    let length = text.chars().count();
    if length > MAX_LENGTH {
        return Err(KeyError::TooLong(length));
    }
    for (position, character) in text.chars().enumerate() {
        match character {
            'a'..='z' | '0'..='9' => {}
            '_' | '-' if position > 0 => {}
            other if position == 0 => return Err(KeyError::BadStart(other)),
            other => return Err(KeyError::BadCharacter(other)),
        }
    }
    if text.is_empty() { Err(KeyError::Empty) } else { Ok(()) }
}

/// The title's letters and digits in lowercase, with everything between them replaced by one `-`.
fn slug(title: &str) -> String {
    let mut slug = String::new();
    for character in title.chars().flat_map(char::to_lowercase) {
        if character.is_ascii_alphanumeric() || (character == '_' && !slug.is_empty()) {
            slug.push(character);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
        if slug.len() == MAX_LENGTH {
            break;
        }
    }
    slug.truncate(slug.trim_end_matches('-').len());
    if slug.is_empty() { "untitled".to_owned() } else { slug }
}

macro_rules! key {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Parses the text verbatim, without normalising it.
            pub fn parse(text: &str) -> Result<Self, KeyError> {
                check(text).map(|()| Self(text.to_owned()))
            }

            /// Derives a key from a title: `Code Review!` becomes `code-review`. A title without a usable character
            /// becomes `untitled`. The result need not be unique.
            pub fn from_title(title: &str) -> Self {
                Self(slug(title))
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = KeyError;
            fn try_from(text: String) -> Result<Self, KeyError> {
                check(&text).map(|()| Self(text))
            }
        }

        impl std::str::FromStr for $name {
            type Err = KeyError;
            fn from_str(text: &str) -> Result<Self, KeyError> {
                Self::parse(text)
            }
        }

        impl From<$name> for String {
            fn from(key: $name) -> String {
                key.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

key!(
    /// A project, unique in the instance.
    ProjectKey
);
key!(
    /// A template, unique in its project.
    TemplateKey
);
key!(
    /// A role, unique in its project.
    RoleKey
);
key!(
    /// A component, unique in its project.
    ComponentKey
);
key!(
    /// A provider of models, unique in the instance.
    ProviderKey
);

/// `provider/model`. The model part is the provider's own name and may contain slashes and colons, as in
/// `ollama/library/llama3.2:1b`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ModelName {
    provider: ProviderKey,
    model: String,
}

impl ModelName {
    /// Parses `provider/model`.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let (provider, model) = text.split_once('/').ok_or(KeyError::NotAModelName)?;
        Self::new(ProviderKey::parse(provider)?, model)
    }

    /// Combines a provider with the provider's own name of a model.
    pub fn new(provider: ProviderKey, model: &str) -> Result<Self, KeyError> {
        if model.is_empty() {
            return Err(KeyError::NotAModelName);
        }
        let unreadable = model.chars().any(|c| c.is_whitespace() || c.is_control());
        if unreadable || model.chars().count() > MAX_MODEL_NAME_LENGTH {
            return Err(KeyError::BadModelName);
        }
        Ok(Self { provider, model: model.to_owned() })
    }

    pub fn provider(&self) -> ProviderKey {
        self.provider.clone()
    }

    pub fn model(&self) -> &str {
        &self.model
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.provider, self.model)
    }
}

impl TryFrom<String> for ModelName {
    type Error = KeyError;
    fn try_from(text: String) -> Result<Self, KeyError> {
        Self::parse(&text)
    }
}

impl std::str::FromStr for ModelName {
    type Err = KeyError;
    fn from_str(text: &str) -> Result<Self, KeyError> {
        Self::parse(text)
    }
}

impl From<ModelName> for String {
    fn from(name: ModelName) -> String {
        name.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keys_are_lowercase_words() {
        for good in ["a", "code-review", "general_worker", "7b", &"x".repeat(64)] {
            assert_eq!(TemplateKey::parse(good).map(String::from), Ok(good.to_owned()));
        }
        let bad = [
            ("", KeyError::Empty),
            ("-a", KeyError::BadStart('-')),
            ("Code", KeyError::BadStart('C')),
            ("a b", KeyError::BadCharacter(' ')),
            ("aé", KeyError::BadCharacter('é')),
            (&"x".repeat(65), KeyError::TooLong(65)),
        ];
        for (text, error) in bad {
            assert_eq!(TemplateKey::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn reading_json_checks() {
        assert!(serde_json::from_str::<RoleKey>("\"senior_reviewer\"").is_ok());
        assert!(serde_json::from_str::<RoleKey>("\"Senior\"").is_err());
        assert!(serde_json::from_str::<ModelName>("\"local/smollm2\"").is_ok());
        assert!(serde_json::from_str::<ModelName>("\"smollm2\"").is_err());
    }

    #[test]
    fn titles_become_keys() {
        for (title, key) in [
            ("Code Review", "code-review"),
            ("  Analyse: the (whole) Thing! ", "analyse-the-whole-thing"),
            ("__x_y", "x_y"),
            ("コード", "untitled"),
            ("Ünï 5", "n-5"),
        ] {
            assert_eq!(TemplateKey::from_title(title).as_str(), key);
        }
    }

    #[test]
    fn a_models_own_name_may_have_slashes_and_colons() {
        let name = ModelName::parse("hub/meta-llama/Llama-3.2:free").unwrap();
        assert_eq!(name.provider().as_str(), "hub");
        assert_eq!(name.model(), "meta-llama/Llama-3.2:free");
        assert_eq!(name.to_string(), "hub/meta-llama/Llama-3.2:free");
        for bad in ["", "local", "local/", "/x", "Local/x", "local/a b"] {
            assert!(ModelName::parse(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn every_title_makes_a_valid_key(title in ".{0,200}") {
            let key = TemplateKey::from_title(&title);
            prop_assert_eq!(TemplateKey::parse(key.as_str()), Ok(key));
        }
    }
}
