//! The status of a run, a step or a message for users: an icon, a word and a colour, always together.

use domain::run::{RunStatus, StepStatus};
use leptos::prelude::*;

use super::icon::{Glyph, Icon};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Acknowledged,
    Pending,
    Ready,
    Queued,
    Running,
    Waiting,
    Retrying,
    Completed,
    CompletedWithWarnings,
    Failed,
    TimedOut,
    Cancelled,
    Skipped,
}

impl Status {
    pub const ALL: [Self; 13] = [
        Self::Acknowledged,
        Self::Pending,
        Self::Ready,
        Self::Queued,
        Self::Running,
        Self::Waiting,
        Self::Retrying,
        Self::Completed,
        Self::CompletedWithWarnings,
        Self::Failed,
        Self::TimedOut,
        Self::Cancelled,
        Self::Skipped,
    ];

    pub fn label(self) -> &'static str {
        match self {
            Self::Acknowledged => "Acknowledged",
            Self::Pending => "Pending",
            Self::Ready => "Ready",
            Self::Queued => "Queued",
            Self::Running => "Running",
            Self::Waiting => "Waiting",
            Self::Retrying => "Retrying",
            Self::Completed => "Completed",
            Self::CompletedWithWarnings => "Completed with warnings",
            Self::Failed => "Failed",
            Self::TimedOut => "Timed out",
            Self::Cancelled => "Cancelled",
            Self::Skipped => "Skipped",
        }
    }

    pub fn glyph(self) -> Glyph {
        match self {
            Self::Acknowledged => Glyph::Acknowledged,
            Self::Pending => Glyph::Circle,
            Self::Ready => Glyph::Runs,
            Self::Queued => Glyph::Hourglass,
            Self::Running => Glyph::Running,
            Self::Waiting => Glyph::Pause,
            Self::Retrying => Glyph::Retry,
            Self::Completed => Glyph::CheckCircle,
            Self::CompletedWithWarnings => Glyph::Warning,
            Self::Failed => Glyph::Failed,
            Self::TimedOut => Glyph::Alarm,
            Self::Cancelled => Glyph::Cancelled,
            Self::Skipped => Glyph::Skip,
        }
    }

    /// A class that sets `--status-text`, `--status-ground`, `--status-line` and `--status-solid` for the element and
    /// its children.
    pub fn class(self) -> &'static str {
        match self {
            Self::Acknowledged => "state-acknowledged",
            Self::Pending => "state-pending",
            Self::Ready => "state-ready",
            Self::Queued => "state-queued",
            Self::Running => "state-running",
            Self::Waiting => "state-waiting",
            Self::Retrying => "state-retrying",
            Self::Completed => "state-completed",
            Self::CompletedWithWarnings => "state-warned",
            Self::Failed => "state-failed",
            Self::TimedOut => "state-timed-out",
            Self::Cancelled => "state-cancelled",
            Self::Skipped => "state-skipped",
        }
    }

    /// Whether work is under way, so that the page will change on its own.
    pub fn is_live(self) -> bool {
        matches!(self, Self::Running | Self::Retrying)
    }
}

impl From<RunStatus> for Status {
    fn from(status: RunStatus) -> Self {
        match status {
            RunStatus::Queued => Self::Queued,
            RunStatus::Running => Self::Running,
            RunStatus::Waiting => Self::Waiting,
            RunStatus::Completed => Self::Completed,
            RunStatus::Failed => Self::Failed,
            RunStatus::Cancelled => Self::Cancelled,
        }
    }
}

impl From<StepStatus> for Status {
    fn from(status: StepStatus) -> Self {
        match status {
            StepStatus::Pending => Self::Pending,
            StepStatus::Ready => Self::Ready,
            StepStatus::Running => Self::Running,
            StepStatus::Waiting => Self::Waiting,
            StepStatus::Completed => Self::Completed,
            StepStatus::Failed => Self::Failed,
            StepStatus::Skipped => Self::Skipped,
            StepStatus::Cancelled => Self::Cancelled,
        }
    }
}

/// The status as an icon and a word. `icon_only`, for narrow columns, keeps the word for screen readers and as a
/// tooltip.
#[component]
pub fn StatusBadge(
    #[prop(into)] status: Signal<Status>,
    /// The text after the word: "attempt 2 of 3", "third in the queue".
    #[prop(optional, into)]
    detail: MaybeProp<String>,
    /// Without the coloured background, for rows.
    #[prop(optional)]
    plain: bool,
    #[prop(optional)] icon_only: bool,
) -> impl IntoView {
    let class = move || {
        let status = status.get();
        let ground = if plain || icon_only { " status-badge-plain" } else { "" };
        let live = if status.is_live() { " status-badge-live" } else { "" };
        format!("status-badge {}{ground}{live}", status.class())
    };
    view! {
        <span class=class title=move || icon_only.then(|| status.get().label())>
            {move || view! { <Icon glyph=status.get().glyph()/> }}
            <span class=if icon_only { "visually-hidden" } else { "status-badge-label" }>{move || status.get().label()}</span>
            {move || detail.get().map(|detail| view! { <span class="status-badge-detail">{detail}</span> })}
        </span>
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    #[default]
    Neutral,
    Accent,
    Info,
    Success,
    Warning,
    Error,
}

impl Tone {
    pub fn class(self) -> &'static str {
        match self {
            Self::Neutral => "tone-neutral",
            Self::Accent => "tone-accent",
            Self::Info => "tone-info",
            Self::Success => "tone-success",
            Self::Warning => "tone-warning",
            Self::Error => "tone-error",
        }
    }
}

/// A short label: a version, a kind, a count. For a status use `StatusBadge`.
#[component]
pub fn Badge(
    #[prop(optional)] tone: Tone,
    #[prop(optional, into)] glyph: Option<Glyph>,
    #[prop(optional, into)] title: MaybeProp<String>,
    children: Children,
) -> impl IntoView {
    view! {
        <span class=format!("badge {}", tone.class()) title=move || title.get()>
            {glyph.map(|glyph| view! { <Icon glyph/> })}
            {children()}
        </span>
    }
}
