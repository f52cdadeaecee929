//! domain

pub mod error;
pub mod key;
pub mod plan;
pub mod provider;
pub mod template;
pub mod usage;
