//! The pages of Troupe.

pub mod fault;
pub mod project;
pub mod session;
