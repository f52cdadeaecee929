//! Buttons, and links that look like buttons. A busy button keeps its focus and its width and ignores clicks.

use leptos::{ev::MouseEvent, prelude::*};

use super::icon::{Glyph, Icon};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ButtonVariant {
    /// The main action of a page.
    Primary,
    #[default]
    Secondary,
    Ghost,
    Danger,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ButtonSize {
    /// 28 px, for dense rows.
    Small,
    /// 32 px.
    #[default]
    Medium,
    /// 40 px, for touch.
    Large,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ButtonKind {
    #[default]
    Button,
    Submit,
    Reset,
}

impl ButtonVariant {
    fn class(self) -> &'static str {
        match self {
            Self::Primary => "button-primary",
            Self::Secondary => "button-secondary",
            Self::Ghost => "button-ghost",
            Self::Danger => "button-danger",
        }
    }
}

impl ButtonSize {
    fn class(self) -> &'static str {
        match self {
            Self::Small => "button-small",
            Self::Medium => "button-medium",
            Self::Large => "button-large",
        }
    }
}

impl ButtonKind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Button => "button",
            Self::Submit => "submit",
            Self::Reset => "reset",
        }
    }
}

pub(super) fn button_class(variant: ButtonVariant, size: ButtonSize, extra: &str) -> String {
    let mut class = format!("button {} {}", variant.class(), size.class());
    if !extra.is_empty() {
        class.push(' ');
        class.push_str(extra);
    }
    class
}

/// Ignores clicks while `busy`, and prevents the browser's default action, such as submitting the form again.
fn answer_click(busy: Signal<bool>, on_click: Option<Callback<()>>) -> impl Fn(MouseEvent) + 'static {
    move |event: MouseEvent| {
        if busy.get_untracked() {
            event.prevent_default();
        } else if let Some(on_click) = on_click {
            on_click.run(());
        }
    }
}

/// `name` and `value` are submitted with the form, so that a form may have several submit buttons. `form` is the id of
/// a form elsewhere on the page.
#[component]
pub fn Button(
    #[prop(optional)] variant: ButtonVariant,
    #[prop(optional)] size: ButtonSize,
    #[prop(optional)] kind: ButtonKind,
    #[prop(optional, into)] glyph: Option<Glyph>,
    #[prop(optional, into)] busy: Signal<bool>,
    #[prop(optional, into)] disabled: Signal<bool>,
    #[prop(optional, into)] name: Option<String>,
    #[prop(optional, into)] value: Option<String>,
    #[prop(optional, into)] form: Option<String>,
    #[prop(optional, into)] title: MaybeProp<String>,
    #[prop(optional, into)] class: String,
    #[prop(optional, into)] on_click: Option<Callback<()>>,
    children: Children,
) -> impl IntoView {
    view! {
        <button
            type=kind.as_str()
            class=button_class(variant, size, &class)
            name=name
            value=value
            form=form
            title=move || title.get()
            disabled=move || disabled.get()
            aria-busy=move || busy.get().then_some("true")
            aria-disabled=move || busy.get().then_some("true")
            on:click=answer_click(busy, on_click)
        >
            {glyph.map(|glyph| view! { <Icon glyph/> })}
            <span class="button-label">{children()}</span>
        </button>
    }
}

/// A link that looks like a button. `external`: it leaves the app (a download, another site).
#[component]
pub fn ButtonLink(
    #[prop(into)] href: Signal<String>,
    #[prop(optional)] variant: ButtonVariant,
    #[prop(optional)] size: ButtonSize,
    #[prop(optional, into)] glyph: Option<Glyph>,
    #[prop(optional)] external: bool,
    #[prop(optional, into)] title: MaybeProp<String>,
    #[prop(optional, into)] class: String,
    children: Children,
) -> impl IntoView {
    view! {
        <a
            class=button_class(variant, size, &class)
            href=move || href.get()
            rel=external.then_some("external")
            title=move || title.get()
        >
            {glyph.map(|glyph| view! { <Icon glyph/> })}
            <span class="button-label">{children()}</span>
        </a>
    }
}

/// A square button with an icon only; `label` is its accessible name and its tooltip.
#[component]
pub fn IconButton(
    glyph: Glyph,
    #[prop(into)] label: Signal<String>,
    #[prop(default = ButtonVariant::Ghost)] variant: ButtonVariant,
    #[prop(optional)] size: ButtonSize,
    #[prop(optional)] kind: ButtonKind,
    #[prop(optional, into)] busy: Signal<bool>,
    #[prop(optional, into)] disabled: Signal<bool>,
    #[prop(optional, into)] pressed: MaybeProp<bool>,
    #[prop(optional, into)] name: Option<String>,
    #[prop(optional, into)] value: Option<String>,
    #[prop(optional, into)] class: String,
    #[prop(optional, into)] on_click: Option<Callback<()>>,
) -> impl IntoView {
    view! {
        <button
            type=kind.as_str()
            class=format!("{} button-icon", button_class(variant, size, &class))
            name=name
            value=value
            aria-label=move || label.get()
            title=move || label.get()
            disabled=move || disabled.get()
            aria-pressed=move || pressed.get().map(|pressed| if pressed { "true" } else { "false" })
            aria-busy=move || busy.get().then_some("true")
            aria-disabled=move || busy.get().then_some("true")
            on:click=answer_click(busy, on_click)
        >
            <Icon glyph/>
        </button>
    }
}

/// As `IconButton`, but a link.
#[component]
pub fn IconLink(
    glyph: Glyph,
    #[prop(into)] href: Signal<String>,
    #[prop(into)] label: Signal<String>,
    #[prop(default = ButtonVariant::Ghost)] variant: ButtonVariant,
    #[prop(optional)] size: ButtonSize,
    #[prop(optional)] external: bool,
    #[prop(optional, into)] class: String,
) -> impl IntoView {
    view! {
        <a
            class=format!("{} button-icon", button_class(variant, size, &class))
            href=move || href.get()
            rel=external.then_some("external")
            aria-label=move || label.get()
            title=move || label.get()
        >
            <Icon glyph/>
        </a>
    }
}
