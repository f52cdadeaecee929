//! How a person wants the app to look, kept in cookies so that the server's first paint is already right.

use domain::key::ProjectKey;
use leptos::prelude::*;

const THEME: &str = "theme";
const SIDEBAR: &str = "sidebar";
const PROJECT: &str = "troupe_project";

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ThemePreference {
    #[default]
    System,
    Light,
    Dark,
}

impl ThemePreference {
    pub const ALL: [Self; 3] = [Self::System, Self::Light, Self::Dark];

    /// The value of `data-theme` on the root element, and of the cookie.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    pub fn label(self) -> &'static str {
        match self {
            Self::System => "System",
            Self::Light => "Light",
            Self::Dark => "Dark",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|theme| theme.as_str() == text)
    }
}

/// The choices in force. `App` provides them; handlers change them with `set_theme` and `set_sidebar_collapsed`.
#[derive(Clone, Copy)]
pub struct Preferences {
    theme: RwSignal<ThemePreference>,
    sidebar_collapsed: RwSignal<bool>,
    last_project: RwSignal<Option<ProjectKey>>,
}

impl Preferences {
    /// Server and browser read the same cookies, so that hydration finds the page as the server drew it.
    pub fn provide() -> Self {
        let cookies = cookies();
        let preferences = Self {
            theme: RwSignal::new(theme_of(&cookies)),
            sidebar_collapsed: RwSignal::new(find(&cookies, SIDEBAR) == Some("collapsed")),
            last_project: RwSignal::new(find(&cookies, PROJECT).and_then(|key| ProjectKey::parse(key).ok())),
        };
        provide_context(preferences);
        preferences
    }

    pub fn theme(self) -> ThemePreference {
        self.theme.get()
    }

    pub fn sidebar_collapsed(self) -> bool {
        self.sidebar_collapsed.get()
    }

    /// The project that a person was last in, for pages that belong to none.
    pub fn last_project(self) -> Option<ProjectKey> {
        self.last_project.get()
    }

    /// Only from event handlers and effects.
    pub(super) fn remember_project(self, project: ProjectKey) {
        remember(PROJECT, project.as_str());
        self.last_project.set(Some(project));
    }

    /// Only from event handlers and effects.
    pub fn set_theme(self, theme: ThemePreference) {
        self.theme.set(theme);
        remember(THEME, theme.as_str());
        if let Some(root) = document().document_element() {
            // Fails only for a malformed attribute name.
            let _ = root.set_attribute("data-theme", theme.as_str());
        }
    }

    /// Only from event handlers and effects.
    pub fn toggle_sidebar(self) {
        let collapsed = !self.sidebar_collapsed.get_untracked();
        self.sidebar_collapsed.set(collapsed);
        remember(SIDEBAR, if collapsed { "collapsed" } else { "open" });
    }
}

/// The theme of the request, for the root element, which stands outside `App`.
#[cfg(feature = "ssr")]
pub(crate) fn requested_theme() -> ThemePreference {
    theme_of(&cookies())
}

fn theme_of(cookies: &str) -> ThemePreference {
    find(cookies, THEME).and_then(ThemePreference::parse).unwrap_or_default()
}

fn find<'a>(cookies: &'a str, name: &str) -> Option<&'a str> {
    cookies.split(';').find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
}

#[cfg(feature = "ssr")]
fn cookies() -> String {
    use_context::<axum::http::request::Parts>()
        .and_then(|parts| parts.headers.get(axum::http::header::COOKIE)?.to_str().ok().map(str::to_owned))
        .unwrap_or_default()
}

#[cfg(not(feature = "ssr"))]
fn cookies() -> String {
    html_document().and_then(|document| document.cookie().ok()).unwrap_or_default()
}

#[cfg(not(feature = "ssr"))]
fn html_document() -> Option<web_sys::HtmlDocument> {
    wasm_bindgen::JsCast::dyn_into(document()).ok()
}

/// A year; not secret, so the script may write it.
#[cfg(not(feature = "ssr"))]
fn remember(name: &str, value: &str) {
    if let Some(document) = html_document() {
        // A browser that keeps no cookies forgets the choice with the page, no more.
        let _ = document.set_cookie(&format!("{name}={value}; Path=/; Max-Age=31536000; SameSite=Lax"));
    }
}

#[cfg(feature = "ssr")]
fn remember(_name: &str, _value: &str) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_read_by_their_whole_name() {
        assert_eq!(theme_of("a=b; theme=dark; sidebar=open"), ThemePreference::Dark);
        assert_eq!(theme_of("mytheme=dark"), ThemePreference::System);
        assert_eq!(theme_of("theme=purple"), ThemePreference::System);
        assert_eq!(find("sidebar=collapsed", SIDEBAR), Some("collapsed"));
    }
}
