//! Secrets at rest: the installation's key and what is sealed with it.

pub(crate) struct Vault {}
