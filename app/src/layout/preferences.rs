//! The user's preferences of appearance, kept in cookies so that the server's first render already uses them.
//!
//! The browser reads the rendered values from the root element, not the cookies: another tab may have changed the
//! cookies since, and hydration must start from the rendered page.

use domain::key::ProjectKey;
use leptos::prelude::*;

const THEME: &str = "theme";
const SIDEBAR: &str = "sidebar";
const PROJECT: &str = "troupe_project";
const COLLAPSED: &str = "collapsed";

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

/// The current preferences. `App` provides them; handlers change them with `set_theme` and `toggle_sidebar`.
#[derive(Clone, Copy)]
pub struct Preferences {
    theme: RwSignal<ThemePreference>,
    sidebar_collapsed: RwSignal<bool>,
    last_project: RwSignal<Option<ProjectKey>>,
}

impl Preferences {
    pub fn provide() -> Self {
        let Drawn { theme, sidebar_collapsed, last_project } = Drawn::here();
        let preferences = Self {
            theme: RwSignal::new(theme),
            sidebar_collapsed: RwSignal::new(sidebar_collapsed),
            last_project: RwSignal::new(last_project),
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

    /// The project that the user last visited, for pages outside any project.
    pub fn last_project(self) -> Option<ProjectKey> {
        self.last_project.get()
    }

    /// Call it only from event handlers and effects.
    pub(super) fn remember_project(self, project: ProjectKey) {
        remember(PROJECT, project.as_str());
        self.last_project.set(Some(project));
    }

    /// Call it only from event handlers and effects.
    pub fn set_theme(self, theme: ThemePreference) {
        self.theme.set(theme);
        remember(THEME, theme.as_str());
        if let Some(root) = document().document_element() {
            // Fails only for a malformed attribute name.
            let _ = root.set_attribute("data-theme", theme.as_str());
        }
    }

    /// Call it only from event handlers and effects.
    pub fn toggle_sidebar(self) {
        let collapsed = !self.sidebar_collapsed.get_untracked();
        self.sidebar_collapsed.set(collapsed);
        remember(SIDEBAR, if collapsed { COLLAPSED } else { "open" });
    }
}

/// The preferences that a page is rendered with: the request's cookies on the server, the root element's attributes in
/// the browser.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Drawn {
    pub theme: ThemePreference,
    pub sidebar_collapsed: bool,
    pub last_project: Option<ProjectKey>,
}

impl Drawn {
    fn by<'a>(setting: impl Fn(&str) -> Option<&'a str>) -> Self {
        Self {
            theme: setting(THEME).and_then(ThemePreference::parse).unwrap_or_default(),
            sidebar_collapsed: setting(SIDEBAR) == Some(COLLAPSED),
            last_project: setting(PROJECT).and_then(|key| ProjectKey::parse(key).ok()),
        }
    }

    #[cfg(feature = "ssr")]
    pub fn here() -> Self {
        let parts = use_context::<axum::http::request::Parts>();
        let cookies =
            parts.as_ref().and_then(|parts| parts.headers.get(axum::http::header::COOKIE)?.to_str().ok());
        Self::by(|name| find(cookies?, name))
    }

    #[cfg(not(feature = "ssr"))]
    pub fn here() -> Self {
        let root = document().document_element();
        let attribute = |name: &str| root.as_ref()?.get_attribute(&format!("data-{name}"));
        let [theme, sidebar, project] = [THEME, SIDEBAR, PROJECT].map(attribute);
        Self::by(|name| match name {
            THEME => theme.as_deref(),
            SIDEBAR => sidebar.as_deref(),
            _ => project.as_deref(),
        })
    }

    /// The values of the root element's attributes `data-sidebar` and `data-troupe_project`.
    #[cfg(feature = "ssr")]
    pub fn sidebar(&self) -> Option<&'static str> {
        self.sidebar_collapsed.then_some(COLLAPSED)
    }

    #[cfg(feature = "ssr")]
    pub fn project(&self) -> Option<String> {
        self.last_project.as_ref().map(ToString::to_string)
    }
}

#[cfg(any(feature = "ssr", test))]
fn find<'a>(cookies: &'a str, name: &str) -> Option<&'a str> {
    cookies.split(';').find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
}

#[cfg(not(feature = "ssr"))]
fn html_document() -> Option<web_sys::HtmlDocument> {
    wasm_bindgen::JsCast::dyn_into(document()).ok()
}

/// Kept for a year. The values are not secret, so the script may write the cookie.
#[cfg(not(feature = "ssr"))]
fn remember(name: &str, value: &str) {
    if let Some(document) = html_document() {
        // A browser without cookies loses the preference when the page is left.
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
        let drawn = |cookies: &'static str| Drawn::by(|name| find(cookies, name));
        assert_eq!(drawn("a=b; theme=dark; sidebar=open").theme, ThemePreference::Dark);
        assert_eq!(drawn("mytheme=dark").theme, ThemePreference::System);
        assert_eq!(drawn("theme=purple").theme, ThemePreference::System);
        assert!(drawn("sidebar=collapsed").sidebar_collapsed);
        assert_eq!(drawn("x=1; troupe_project=demo").last_project, ProjectKey::parse("demo").ok());
    }
}
