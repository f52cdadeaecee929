//! The definition of a provider: stored by an admin, from the environment, or built in.

use crate::{Environment, models::providers::defaults, secrets::Vault, store::providers::ProviderRow};
use domain::{key::ProviderKey, provider::ProviderKind, view::ProviderOrigin};
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};

/// Ollama's port, if `OLLAMA_HOST` names none.
const OLLAMA_PORT: u16 = 11434;

#[derive(Clone, Debug)]
pub(super) struct Definition {
    pub key: ProviderKey,
    pub kind: ProviderKind,
    pub base_url: Option<String>,
    pub api_key: ApiKey,
    pub origin: ProviderOrigin,
    pub max_concurrent: u32,
    pub requests_per_minute: Option<u32>,
}

#[derive(Clone, Debug)]
pub(super) enum ApiKey {
    None,
    Known(SecretString),
    /// Stored, but encrypted with another installation's key.
    Unreadable,
}

impl Definition {
    pub fn stored(row: ProviderRow, vault: &Vault) -> Self {
        let api_key = match &row.sealed_key {
            None => ApiKey::None,
            Some(sealed) => {
                vault.unseal(sealed, row.id.0.as_bytes()).map_or(ApiKey::Unreadable, ApiKey::Known)
            }
        };
        Self {
            key: row.key,
            kind: row.kind,
            base_url: row.base_url,
            api_key,
            origin: ProviderOrigin::Stored,
            max_concurrent: row.max_concurrent.unwrap_or(defaults(row.kind).max_concurrent),
            requests_per_minute: row.requests_per_minute,
        }
    }

    /// The local model, and one provider for each of the usual environment variables that is set.
    pub fn given(environment: &Environment) -> Vec<Self> {
        let plain = |kind: ProviderKind, origin| {
            let key = ProviderKey::parse(kind.as_str()).ok()?;
            let max_concurrent = defaults(kind).max_concurrent;
            Some(Self {
                key,
                kind,
                base_url: None,
                api_key: ApiKey::None,
                origin,
                max_concurrent,
                requests_per_minute: None,
            })
        };
        let from_environment = |kind| plain(kind, ProviderOrigin::Environment);
        let set = |name| environment.get(name).filter(|value| !value.expose_secret().trim().is_empty());

        let mut given = Vec::from_iter(plain(ProviderKind::Local, ProviderOrigin::BuiltIn));
        for kind in ProviderKind::ALL {
            let key = defaults(kind).key_variable.and_then(set);
            if let (Some(key), Some(definition)) = (key, from_environment(kind)) {
                given.push(Self { api_key: ApiKey::Known(key.clone()), ..definition });
            }
        }
        let ollama = set("OLLAMA_HOST").and_then(|host| ollama_url(host.expose_secret()));
        if let (Some(base_url), Some(definition)) = (ollama, from_environment(ProviderKind::Ollama)) {
            given.push(Self { base_url: Some(base_url), ..definition });
        }
        given
    }
}

/// `OLLAMA_HOST` as Ollama reads it: scheme and port may be missing, and the address that listens on all interfaces
/// means this machine.
fn ollama_url(host: &str) -> Option<String> {
    let host = host.trim();
    let has_scheme = host.contains("://");
    let mut url = Url::parse(&if has_scheme { host.to_owned() } else { format!("http://{host}") }).ok()?;
    if !has_scheme && url.port().is_none() {
        url.set_port(Some(OLLAMA_PORT)).ok()?;
    }
    if matches!(url.host_str(), Some("0.0.0.0" | "[::]")) {
        url.set_host(Some("localhost")).ok()?;
    }
    Some(url.into())
}

/// Scheme, host and port.
pub(super) fn origin_of(url: &str) -> Option<String> {
    Url::parse(url).ok().map(|url| url.origin().ascii_serialization())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_names_providers_by_their_usual_variables() {
        let variables = [
            ("OPENAI_API_KEY", "sk-1"),
            ("ANTHROPIC_API_KEY", "  "),
            ("GEMINI_API_KEY", "g-1"),
            ("OLLAMA_HOST", "box:1234"),
            ("OTHER", "x"),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), SecretString::from(value)));
        let given = Definition::given(&Environment(variables.into()));
        let found: Vec<_> = given.iter().map(|one| (one.key.as_str(), one.base_url.as_deref())).collect();
        assert_eq!(
            found,
            [("local", None), ("openai", None), ("gemini", None), ("ollama", Some("http://box:1234/"))]
        );
        assert!(!format!("{given:?}").contains("sk-1"));
        assert_eq!(given[0].max_concurrent, 4);
        assert_eq!(given[1].max_concurrent, 1_000);
    }

    #[test]
    fn hosts_of_ollama_are_completed() {
        for (host, url) in [
            ("127.0.0.1", "http://127.0.0.1:11434/"),
            ("0.0.0.0:8000", "http://localhost:8000/"),
            ("https://ollama.example", "https://ollama.example/"),
            ("box", "http://box:11434/"),
        ] {
            assert_eq!(ollama_url(host).as_deref(), Some(url));
        }
    }
}
