//! The frame around every page: sidebar (a bar at the bottom on a phone), top bar, page header, and the user's
//! preferences of appearance.

mod frame;
mod new_link;
mod page_header;
mod phone_menu;
mod preferences;
mod section;
mod sidebar;
mod theme_toggle;
mod top_bar;

pub use frame::{BareFrame, Frame};
pub use new_link::new_link;
pub use page_header::PageHeader;
#[cfg(feature = "ssr")]
pub(crate) use preferences::Drawn;
pub use preferences::{Preferences, ThemePreference};
pub use section::Section;
pub use theme_toggle::ThemeToggle;
pub use top_bar::use_crumb;
