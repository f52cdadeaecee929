//! Search and commands: the search page, and the palette that opens over every page.

#[cfg(feature = "ssr")]
mod drawn;
#[cfg(feature = "ssr")]
mod entries;
mod fuzzy;
mod page;
mod palette;
mod recent;
mod server;

pub use page::SearchPage;
pub use palette::{Palette, PaletteButton};
