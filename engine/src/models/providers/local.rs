//! The small model that comes with the product. Its server speaks OpenAI's protocol; its supervisor knows the address.

use genai::adapter::AdapterKind;

use super::{Defaults, Keyless, all, openai};

pub(super) const DEFAULTS: Defaults = Defaults {
    key_variable: None,
    base_url: None,
    needs_key: false,
    // The local server has four slots; more calls would queue inside it, invisibly.
    max_concurrent: 4,
    adapter: AdapterKind::OpenAI,
    prepare: openai::keep_model_name,
    keyless: Keyless::Path("chat/completions"),
    converses: all,
};
