//! Menus over the native popover: they open without script, close on Esc or a click elsewhere, and are never clipped.

use leptos::{
    ev::{Event, KeyboardEvent, MouseEvent},
    html,
    prelude::*,
};
use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlElement};

use super::{
    button::{ButtonSize, ButtonVariant, button_class},
    focus::{Move, move_focus},
    icon::{Glyph, Icon},
};

const ITEMS: &str = "[role=menuitem]:not(:disabled)";

/// `id` must be unique on the page and equal on server and client (`run-42-menu`). `label` names the button. The
/// button shows `trigger` and a chevron; without a trigger, `glyph` alone.
#[component]
pub fn Menu(
    #[prop(into)] id: String,
    #[prop(into)] label: Signal<String>,
    #[prop(default = Glyph::Ellipsis)] glyph: Glyph,
    #[prop(optional, into)] trigger: Option<ViewFnOnce>,
    #[prop(default = ButtonVariant::Ghost)] variant: ButtonVariant,
    #[prop(optional)] size: ButtonSize,
    #[prop(optional, into)] class: String,
    children: Children,
) -> impl IntoView {
    let button = NodeRef::<html::Button>::new();
    let menu = NodeRef::<html::Div>::new();
    let toggled = move |_: Event| {
        let (Some(button), Some(menu)) = (button.get_untracked(), menu.get_untracked()) else { return };
        if menu.matches(":popover-open").unwrap_or(false) {
            place(&button, &menu);
            move_focus(&menu, ITEMS, Move::First);
        }
    };
    let keydown = move |event: KeyboardEvent| {
        let (Some(step), Some(menu)) = (Move::from_key(&event.key()), menu.get_untracked()) else { return };
        if move_focus(&menu, ITEMS, step) {
            event.prevent_default();
        }
    };
    let chosen = move |event: MouseEvent| {
        let on_item = event
            .target()
            .and_then(|target| target.dyn_into::<Element>().ok())
            .is_some_and(|target| target.closest(ITEMS).is_ok_and(|item| item.is_some()));
        if let Some(menu) = menu.get_untracked().filter(|_| on_item) {
            // Fails only if the menu is already hidden.
            let _ = menu.hide_popover();
        }
    };
    let icon_only = trigger.is_none();
    let extra = if icon_only { format!("button-icon {class}") } else { format!("menu-button {class}") };
    view! {
        <button
            node_ref=button
            type="button"
            class=button_class(variant, size, &extra)
            popovertarget=id.clone()
            aria-haspopup="menu"
            aria-label=move || icon_only.then(|| label.get())
            title=move || icon_only.then(|| label.get())
        >
            {match trigger {
                Some(trigger) => {
                    view! {
                        <span class="visually-hidden">{move || label.get()} ": "</span>
                        <span class="button-label">{trigger.run()}</span>
                        <Icon glyph=Glyph::ChevronDown/>
                    }.into_any()
                }
                None => view! { <Icon glyph/> }.into_any(),
            }}
        </button>
        <div
            node_ref=menu
            class="menu"
            id=id
            popover="auto"
            role="menu"
            aria-label=move || label.get()
            on:toggle=toggled
            on:keydown=keydown
            on:click=chosen
        >
            {children()}
        </div>
    }
}

/// Positions the menu below its button, or above it if there is no space below. In browsers with anchor positioning,
/// the style sheet does the same before the script is loaded.
fn place(button: &HtmlElement, menu: &HtmlElement) {
    const GAP: f64 = 4.0;
    let Some(window) = web_sys::window() else { return };
    let size =
        |value: Result<wasm_bindgen::JsValue, _>| value.ok().and_then(|value| value.as_f64()).unwrap_or(0.0);
    let (width, height) = (size(window.inner_width()), size(window.inner_height()));
    let (anchor, own) = (button.get_bounding_client_rect(), menu.get_bounding_client_rect());
    let below = anchor.bottom() + GAP;
    let top = if below + own.height() > height && anchor.top() > own.height() + GAP {
        anchor.top() - own.height() - GAP
    } else {
        below
    };
    let left =
        if anchor.left() + own.width() > width - GAP { anchor.right() - own.width() } else { anchor.left() };
    let style = menu.style();
    for (name, value) in [("top", top), ("left", left.max(GAP))] {
        // If the browser refuses the property, the style sheet's position remains, which is usable.
        let _ = style.set_property(name, &format!("{value}px"));
    }
    let _ = style.set_property("position-area", "none");
}

/// A link if it has an `href`, else a button. With a `form` id, it submits that form.
#[component]
pub fn MenuItem(
    #[prop(optional, into)] href: Option<String>,
    #[prop(optional, into)] glyph: Option<Glyph>,
    #[prop(optional)] danger: bool,
    #[prop(optional, into)] disabled: Signal<bool>,
    /// The id of the form that it submits.
    #[prop(optional, into)]
    form: Option<String>,
    /// The keyboard shortcut of the same action, shown on the right.
    #[prop(optional, into)]
    keys: Option<String>,
    /// Marks the current one among choices, such as the current project.
    #[prop(optional, into)]
    checked: Signal<bool>,
    #[prop(optional, into)] on_select: Option<Callback<()>>,
    children: Children,
) -> impl IntoView {
    let class = if danger { "menu-item menu-item-danger" } else { "menu-item" };
    let content = view! {
        <span class="menu-item-icon">{glyph.map(|glyph| view! { <Icon glyph/> })}</span>
        <span class="menu-item-label">{children()}</span>
        {move || checked.get().then(|| view! { <Icon glyph=Glyph::Check/> })}
        {keys.map(|keys| view! { <kbd class="kbd">{keys}</kbd> })}
    };
    let select = move |_: MouseEvent| {
        if let Some(on_select) = on_select {
            on_select.run(());
        }
    };
    let current = move || checked.get().then_some("true");
    match href {
        Some(href) => view! {
            <a class=class role="menuitem" tabindex="-1" href=href aria-current=current on:click=select>{content}</a>
        }
        .into_any(),
        None => view! {
            <button
                class=class
                type=if form.is_some() { "submit" } else { "button" }
                form=form
                role="menuitem"
                tabindex="-1"
                aria-current=current
                disabled=move || disabled.get()
                on:click=select
            >
                {content}
            </button>
        }
        .into_any(),
    }
}

#[component]
pub fn MenuHeading(children: Children) -> impl IntoView {
    view! { <div class="menu-heading" role="presentation">{children()}</div> }
}

#[component]
pub fn MenuSeparator() -> impl IntoView {
    view! { <div class="menu-separator" role="separator"></div> }
}
