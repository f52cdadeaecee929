//! The kinds of providers. Each file below holds the specifics of one kind; a new kind needs a file and a line here.

use domain::provider::ProviderKind;
use genai::adapter::AdapterKind;
use genai::chat::ChatOptions;

mod anthropic;
mod gemini;
mod local;
mod ollama;
mod openai;
mod openai_compatible;

/// Defaults and properties of a kind of provider.
#[derive(Debug)]
pub struct Defaults {
    /// The environment variable that usually holds its key.
    pub key_variable: Option<&'static str>,
    /// Its default base URL; none if a base URL is required.
    pub base_url: Option<&'static str>,
    /// Whether every call needs a key.
    pub needs_key: bool,
    /// Default for concurrent calls.
    pub max_concurrent: u32,
    /// The protocol.
    pub(super) adapter: AdapterKind,
    /// Sets the options that `genai` needs for every call, beyond the request.
    pub(super) prepare: fn(&mut ChatOptions),
    /// How a call without a key is sent.
    pub(super) keyless: Keyless,
    /// Whether a name in the provider's list is a chat model.
    pub(super) converses: fn(&str) -> bool,
}

/// The authentication that `genai` is given when there is no key.
#[derive(Clone, Copy, Debug)]
pub(super) enum Keyless {
    /// None: the protocol has no key. If one is configured anyway, for a proxy in front, it is sent as a bearer token.
    Native,
    /// The adapter insists on a key and would send an empty one. It is given the complete address instead (the base URL
    /// with this path) and no headers.
    Path(&'static str),
    /// A call without a key is impossible.
    Impossible,
}

/// Concurrent calls to a provider that sets no limit of its own.
const MANY: u32 = 1_000;

/// The defaults of this kind.
pub fn defaults(kind: ProviderKind) -> &'static Defaults {
    match kind {
        ProviderKind::OpenAi => &openai::DEFAULTS,
        ProviderKind::OpenAiCompatible => &openai_compatible::DEFAULTS,
        ProviderKind::Anthropic => &anthropic::DEFAULTS,
        ProviderKind::Gemini => &gemini::DEFAULTS,
        ProviderKind::Ollama => &ollama::DEFAULTS,
        ProviderKind::Local => &local::DEFAULTS,
    }
}

fn nothing(_: &mut ChatOptions) {}

fn all(_: &str) -> bool {
    true
}
