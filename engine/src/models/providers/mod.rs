//! The kinds of provider. Each file below holds what is particular to one; adding a kind is adding a file and a line.

use domain::provider::ProviderKind;
use genai::adapter::AdapterKind;
use genai::chat::ChatOptions;

mod anthropic;
mod gemini;
mod local;
mod ollama;
mod openai;
mod openai_compatible;

/// What is known of a kind of provider before anybody has set anything.
#[derive(Debug)]
pub struct Defaults {
    /// The environment variable in which its key usually stands.
    pub key_variable: Option<&'static str>,
    /// Where it is, unless said otherwise; none when that must be said.
    pub base_url: Option<&'static str>,
    /// Whether nothing goes without a key.
    pub needs_key: bool,
    /// Calls at once, unless said otherwise.
    pub max_concurrent: u32,
    /// The protocol.
    pub(super) adapter: AdapterKind,
    /// What to tell `genai` at every call, beyond what the request says.
    pub(super) prepare: fn(&mut ChatOptions),
    /// How a request without a key gets on its way.
    pub(super) keyless: Keyless,
    /// Which names of the provider's list are models to converse with.
    pub(super) converses: fn(&str) -> bool,
}

/// What `genai` must be told when there is no key.
#[derive(Clone, Copy, Debug)]
pub(super) enum Keyless {
    /// Nothing: the protocol has no key. When one is given all the same, for a proxy in front, it goes as a bearer token.
    Native,
    /// The adapter insists on a key and would send an empty one. The whole address, with this after the base URL, and
    /// no headers are given instead.
    Path(&'static str),
    /// It cannot.
    Impossible,
}

/// Calls at once to a provider that leaves it to us.
const MANY: u32 = 1_000;

/// What is known of this kind.
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
