//! domain

pub mod key;
pub mod plan;
pub mod template;
