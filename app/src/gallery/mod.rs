//! The gallery: every component of the design system and the status of a run, in every state, with constant data. It
//! serves the developers of Troupe and the visual tests, so it is available only if the server was started with
//! `--gallery`.

mod page;
mod parts;
mod server;
mod stories;

pub use page::GalleryPage;
#[cfg(feature = "ssr")]
pub use server::ShowGallery;
