//! The icons: 16 px, one stroked path each, in the colour of the surrounding text.

use leptos::prelude::*;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Glyph {
    Acknowledged,
    Alarm,
    Cancelled,
    Check,
    CheckCircle,
    ChevronDown,
    ChevronLeft,
    ChevronRight,
    ChevronUp,
    Circle,
    Clock,
    Close,
    Compare,
    Conversations,
    Copy,
    Download,
    Edit,
    Ellipsis,
    External,
    Eye,
    Failed,
    File,
    Filter,
    Fit,
    Fork,
    Group,
    Help,
    Hourglass,
    Info,
    Inbox,
    Key,
    Menu,
    Minus,
    Models,
    Monitor,
    Moon,
    Pause,
    Play,
    Plus,
    Project,
    Redo,
    Retry,
    Roles,
    Running,
    Runs,
    Search,
    Send,
    Settings,
    Sidebar,
    SignOut,
    Skip,
    Stop,
    Sun,
    Templates,
    Timeline,
    Trash,
    Undo,
    Upload,
    Warning,
}

impl Glyph {
    pub const ALL: [Self; 59] = [
        Self::Acknowledged,
        Self::Alarm,
        Self::Cancelled,
        Self::Check,
        Self::CheckCircle,
        Self::ChevronDown,
        Self::ChevronLeft,
        Self::ChevronRight,
        Self::ChevronUp,
        Self::Circle,
        Self::Clock,
        Self::Close,
        Self::Compare,
        Self::Conversations,
        Self::Copy,
        Self::Download,
        Self::Edit,
        Self::Ellipsis,
        Self::External,
        Self::Eye,
        Self::Failed,
        Self::File,
        Self::Filter,
        Self::Fit,
        Self::Fork,
        Self::Group,
        Self::Help,
        Self::Hourglass,
        Self::Info,
        Self::Inbox,
        Self::Key,
        Self::Menu,
        Self::Minus,
        Self::Models,
        Self::Monitor,
        Self::Moon,
        Self::Pause,
        Self::Play,
        Self::Plus,
        Self::Project,
        Self::Redo,
        Self::Retry,
        Self::Roles,
        Self::Running,
        Self::Runs,
        Self::Search,
        Self::Send,
        Self::Settings,
        Self::Sidebar,
        Self::SignOut,
        Self::Skip,
        Self::Stop,
        Self::Sun,
        Self::Templates,
        Self::Timeline,
        Self::Trash,
        Self::Undo,
        Self::Upload,
        Self::Warning,
    ];

    /// Path data on a 16 by 16 grid.
    pub fn path(self) -> &'static str {
        match self {
            Self::Acknowledged => "M2 3.75h12v8.5H2zM2.25 4.25 8 8.75l5.75-4.5",
            Self::Alarm => {
                "M8 13.75a5 5 0 1 0 0-10 5 5 0 0 0 0 10M8 6v2.75l1.75 1.25M2 4.25 4 2.5M14 4.25 12 2.5"
            }
            Self::Cancelled => "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12M3.9 3.9l8.2 8.2",
            Self::Check => "M3 8.5l3.25 3.25L13 4.75",
            Self::CheckCircle => "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12M5.25 8.25l2 2 3.5-4",
            Self::ChevronDown => "M4 6l4 4 4-4",
            Self::ChevronLeft => "M10 4 6 8l4 4",
            Self::ChevronRight => "M6 4l4 4-4 4",
            Self::ChevronUp => "M4 10l4-4 4 4",
            Self::Circle => "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12",
            Self::Clock => "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12M8 4.75V8l2.25 1.5",
            Self::Close => "M4 4l8 8M12 4l-8 8",
            Self::Compare => "M2.5 3H7v10H2.5zM9 3h4.5v10H9z",
            Self::Conversations => {
                "M2.5 4.5a2 2 0 0 1 2-2h7a2 2 0 0 1 2 2V9a2 2 0 0 1-2 2H8l-3.5 2.75V11a2 2 0 0 1-2-2z"
            }
            Self::Copy => {
                "M5.5 5.5v-2a1 1 0 0 1 1-1h6a1 1 0 0 1 1 1v6a1 1 0 0 1-1 1h-2M3.5 5.5h6a1 1 0 0 1 1 1v6a1 1 0 0 1-1 1h-6a1 1 0 0 1-1-1v-6a1 1 0 0 1 1-1"
            }
            Self::Download => "M8 2.5V10M4.5 7 8 10.5 11.5 7M2.5 13.5h11",
            Self::Edit => "M3 13l.5-2.75L10.75 3 13 5.25 5.75 12.5z",
            Self::Ellipsis => {
                "M3.5 8.5a.5.5 0 1 0 0-1 .5.5 0 0 0 0 1M8 8.5a.5.5 0 1 0 0-1 .5.5 0 0 0 0 1M12.5 8.5a.5.5 0 1 0 0-1 .5.5 0 0 0 0 1"
            }
            Self::External => "M6.5 3.5h-3v9h9v-3M9 2.5h4.5V7M13 3 7.5 8.5",
            Self::Eye => {
                "M1.5 8S4 3.5 8 3.5 14.5 8 14.5 8 12 12.5 8 12.5 1.5 8 1.5 8M8 10a2 2 0 1 0 0-4 2 2 0 0 0 0 4"
            }
            Self::Failed => "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12M6 6l4 4M10 6l-4 4",
            Self::File => "M4 2.5h5L12.5 6v7.5H4zM9 2.5V6h3.5",
            Self::Filter => "M2.5 4h11M4.5 8h7M6.5 12h3",
            Self::Fork => {
                "M4.5 5.5a1.5 1.5 0 1 0 0-3 1.5 1.5 0 0 0 0 3M11.5 5.5a1.5 1.5 0 1 0 0-3 1.5 1.5 0 0 0 0 3M8 13.5a1.5 1.5 0 1 0 0-3 1.5 1.5 0 0 0 0 3M4.5 5.5V6a2 2 0 0 0 2 2h3a2 2 0 0 0 2-2v-.5M8 8v2.5"
            }
            Self::Help => {
                "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12M6.25 6.4a1.75 1.75 0 1 1 2.6 1.5c-.55.32-.85.65-.85 1.2M8 11.25v.01"
            }
            Self::Hourglass => {
                "M4.5 2.5h7M4.5 13.5h7M5.25 2.5v2.25L8 8l2.75-3.25V2.5M5.25 13.5v-2.25L8 8l2.75 3.25v2.25"
            }
            Self::Info => "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12M8 7.5v3.25M8 5.25v.01",
            Self::Inbox => "M2.5 9 4 3h8l1.5 6v4h-11zM2.5 9h3L7 11h2l1.5-2h3",
            Self::Key => "M10.25 9a3.25 3.25 0 1 0-3-2L2.5 11.75v1.75h2.25V12h1.5v-1.5h1.25L9 9M10.5 5.5v.01",
            Self::Menu => "M2.5 4h11M2.5 8h11M2.5 12h11",
            Self::Models => {
                "M4.5 4.5h7v7h-7zM6.5 2v2.5M9.5 2v2.5M6.5 11.5V14M9.5 11.5V14M2 6.5h2.5M2 9.5h2.5M11.5 6.5H14M11.5 9.5H14"
            }
            Self::Monitor => "M2.5 3h11v7.5h-11zM5.5 13.5h5M8 10.5v3",
            Self::Moon => "M13.25 9.5A5.75 5.75 0 0 1 6.5 2.75a5.75 5.75 0 1 0 6.75 6.75",
            Self::Pause => "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12M6.5 6v4M9.5 6v4",
            Self::Play => "M4.75 3v10l8-5z",
            Self::Fit => "M2.5 6V2.5H6M10 2.5h3.5V6M13.5 10v3.5H10M6 13.5H2.5V10",
            Self::Group => "M2.5 3h5v4h-5zM8.5 9h5v4h-5zM10 5h3.5v2M6 11H2.5V9",
            Self::Minus => "M3 8h10",
            Self::Redo => "M13 6.5H6a3.25 3.25 0 0 0 0 6.5h3M10 3.5l3 3-3 3",
            Self::Undo => "M3 6.5h7a3.25 3.25 0 0 1 0 6.5H7M6 3.5l-3 3 3 3",
            Self::Plus => "M8 3v10M3 8h10",
            Self::Project => "M8 2l5.25 3v6L8 14l-5.25-3V5zM2.75 5 8 8l5.25-3M8 8v6",
            Self::Retry => "M13 8a5 5 0 1 1-1.5-3.55L13 5.75M13 2.5v3.25H9.75",
            Self::Roles => "M8 7.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5M3 13.5c0-2.5 2.25-4 5-4s5 1.5 5 4",
            Self::Running => {
                "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12M8 9.75a1.75 1.75 0 1 0 0-3.5 1.75 1.75 0 0 0 0 3.5"
            }
            Self::Runs => "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12M6.75 5.75v4.5L10.5 8z",
            Self::Search => "M7 11.5a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9M10.25 10.25l3.25 3.25",
            Self::Send => "M8 13V3M3.5 7.5 8 3l4.5 4.5",
            Self::Settings => {
                "M2.5 4.5h6M12 4.5h1.5M2.5 11.5H4M7.5 11.5h6M10.25 6.25a1.75 1.75 0 1 0 0-3.5 1.75 1.75 0 0 0 0 3.5M5.75 13.25a1.75 1.75 0 1 0 0-3.5 1.75 1.75 0 0 0 0 3.5"
            }
            Self::Sidebar => "M2.5 3h11v10h-11zM6.25 3v10",
            Self::SignOut => "M6.5 2.5h-3v11h3M6.5 8H14M11 5l3 3-3 3",
            Self::Skip => "M2.5 4l5 4-5 4zM8.5 4l5 4-5 4z",
            Self::Stop => "M4 4h8v8H4z",
            Self::Sun => {
                "M8 10.75a2.75 2.75 0 1 0 0-5.5 2.75 2.75 0 0 0 0 5.5M8 1.5V3M8 13v1.5M1.5 8H3M13 8h1.5M3.4 3.4l1.06 1.06M11.54 11.54l1.06 1.06M3.4 12.6l1.06-1.06M11.54 4.46l1.06-1.06"
            }
            Self::Templates => "M2.5 2.5h4v4h-4zM9.5 9.5h4v4h-4zM4.5 6.5v3a2 2 0 0 0 2 2h3",
            Self::Timeline => "M2.5 4h5M5 8h6M9 12h4.5",
            Self::Trash => "M2.5 4.5h11M6 4.5v-2h4v2M4 4.5l.5 9h7l.5-9M6.75 7v4M9.25 7v4",
            Self::Upload => "M8 10.5V3M4.5 6 8 2.5 11.5 6M2.5 13.5h11",
            Self::Warning => "M8 2.25 14.25 13.25H1.75zM8 6.5v3M8 11.25v.01",
        }
    }
}

/// A decorative icon: the text next to it, or its button's label, has the same meaning.
#[component]
pub fn Icon(glyph: Glyph) -> impl IntoView {
    view! {
        <svg class="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" focusable="false">
            <path d=glyph.path()/>
        </svg>
    }
}
