//! The settings of the installation and of a project.

#[cfg(feature = "ssr")]
mod draft;
mod server;
