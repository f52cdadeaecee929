//! The store.

pub struct Store {}
