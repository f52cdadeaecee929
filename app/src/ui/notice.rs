//! Feedback of a page: a notice, an empty state, and skeletons while content loads.

use leptos::prelude::*;

use super::{
    button::{ButtonSize, IconButton},
    icon::{Glyph, Icon},
    status::Tone,
};

impl Tone {
    pub(super) fn glyph(self) -> Glyph {
        match self {
            Self::Neutral | Self::Accent | Self::Info => Glyph::Info,
            Self::Success => Glyph::CheckCircle,
            Self::Warning => Glyph::Warning,
            Self::Error => Glyph::Failed,
        }
    }
}

/// `tone`: info, warning or error. An error is announced immediately. The action is a button.
#[component]
pub fn Notice(
    #[prop(default = Tone::Info)] tone: Tone,
    #[prop(optional, into)] title: MaybeProp<String>,
    #[prop(optional, into)] action: Option<ViewFnOnce>,
    #[prop(optional, into)] on_dismiss: Option<Callback<()>>,
    children: Children,
) -> impl IntoView {
    view! {
        <div class=format!("notice {}", tone.class()) role=if tone == Tone::Error { "alert" } else { "status" }>
            <Icon glyph=tone.glyph()/>
            <div class="notice-text">
                {move || title.get().map(|title| view! { <strong class="notice-title">{title}</strong> })}
                <div>{children()}</div>
            </div>
            {action.map(|action| view! { <div class="notice-action">{action.run()}</div> })}
            {on_dismiss.map(|on_dismiss| view! {
                <IconButton glyph=Glyph::Close label="Dismiss" size=ButtonSize::Small on_click=on_dismiss/>
            })}
        </div>
    }
}

/// The children explain what this page is for and what to do next; the action does it.
#[component]
pub fn EmptyState(
    #[prop(into)] title: String,
    #[prop(optional, into)] glyph: Option<Glyph>,
    #[prop(optional, into)] action: Option<ViewFnOnce>,
    children: Children,
) -> impl IntoView {
    view! {
        <div class="empty">
            {glyph.map(|glyph| view! { <div class="empty-icon"><Icon glyph/></div> })}
            <h2 class="empty-title">{title}</h2>
            <div class="empty-text">{children()}</div>
            {action.map(|action| view! { <div class="empty-action">{action.run()}</div> })}
        </div>
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SkeletonShape {
    /// Lines of text.
    #[default]
    Text,
    /// Rows of a table, 32 px each.
    Rows,
    /// One card.
    Card,
}

/// A placeholder of the content's size, so that the layout does not shift.
#[component]
pub fn Skeleton(#[prop(optional)] shape: SkeletonShape, #[prop(default = 3)] count: usize) -> impl IntoView {
    let class = match shape {
        SkeletonShape::Text => "skeleton-text",
        SkeletonShape::Rows => "skeleton-row",
        SkeletonShape::Card => "skeleton-card",
    };
    view! {
        <div class="skeleton" role="status">
            <span class="visually-hidden">"Loading"</span>
            {(0..count).map(|_| view! { <div class=class></div> }).collect_view()}
        </div>
    }
}
