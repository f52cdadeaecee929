//! The design system. Pages use only these components; their styles are in `style/ui/`, one file per component.
//!
//! Conventions. Props convert by `into`: `Signal<T>` takes values, signals and closures; `MaybeProp<T>` (here `?` with text) takes
//! values, options, signals, memos and `Signal::derive(|| …)`, but no bare closures; `String` takes values. Callbacks
//! without an argument take `move || …`. Slots of type `ViewFnOnce` take `move || view! { … }`. Props marked `=` have a
//! default, `?` may be left out. The strict content policy refuses `style=` in markup: use classes, or SVG attributes for
//! widths. Clocks, locale and focus live in effects, never in a first render.
//!
//! ```text
//! Icon            glyph: Glyph
//! Button          variant=Secondary size=Medium kind=Button glyph? busy? disabled? name? value? form? title? class? on_click?: Callback<()>  children
//! ButtonLink      href  variant= size= glyph? external= title? class?  children
//! IconButton      glyph label  variant=Ghost size= kind= busy? disabled? pressed?: bool name? value? class? on_click?
//! IconLink        glyph href label  variant=Ghost size= external= class?
//!                 ButtonVariant::{Primary, Secondary, Ghost, Danger}  ButtonSize::{Small, Medium, Large}  ButtonKind::{Button, Submit, Reset}
//!
//! Field           label for_id  hint? error? optional= hide_label= class?  children       (frame for a control of your own)
//! TextField       label name  kind=InputKind::Text id? value?|bind?: RwSignal<String> hint? error? placeholder? required= optional=
//!                 hide_label= mono= autofocus= autocomplete? pattern? min? max? step? max_length?: u32 disabled? read_only? on_input?: Callback<String> class?
//! TextArea        label name  id? value?|bind? hint? error? placeholder? rows=3 required= optional= hide_label= mono= autofocus=
//!                 submit_on_enter= (Ctrl/Cmd-Enter) disabled? read_only? on_input? class?
//! Select          label name options: Signal<Vec<SelectOption>>  id? value?|bind? hint? error? required= optional= hide_label= disabled? on_change?: Callback<String> class?
//!                 SelectOption::new(value, label).disabled()
//! Checkbox        label name  id? value="true" checked=|bind?: RwSignal<bool> hint? error? required= hide_label= disabled? on_change?: Callback<bool>
//!
//! Dialog          open: RwSignal<bool> title  size=DialogSize::Medium footer?: ViewFnOnce  children
//! ConfirmDialog   open title text confirm: String on_confirm: Callback<()>  variant=Danger busy?
//! Menu            id: String label  glyph=Ellipsis trigger?: ViewFnOnce variant=Ghost size= class?  children
//! MenuItem        href? glyph? danger= disabled? form? keys? checked? on_select?: Callback<()>  children
//! MenuHeading     children            MenuSeparator
//! SidePanel       title close_href  actions?: ViewFnOnce  children
//! Toasts          use_toasts().success(text) / .info / .error / .show(Toast::new(Tone, text).action(label, || …))
//!
//! StatusBadge     status: Signal<Status>  detail? plain= icon_only=        Status: From<RunStatus>, From<StepStatus>; .label() .glyph() .class() .is_live()
//! Badge           tone=Tone::Neutral glyph? title?  children               Tone::{Neutral, Accent, Info, Success, Warning, Error}
//! RoleChip        role: String  name? href? compact= fallback=             role_hue(key) -> class, role_initials(key) -> String
//!
//! Tabs            label: String tabs: Signal<Vec<Tab>> current: Signal<String>     Tab::new(key, label, href).count(n)
//! Table           label: String columns: Vec<Column>  children (rows: plain <tr><td>)
//!                 Column::new(label).num().tight().wide_only().hidden()            cell classes: num mono muted clip tight wide-only
//! RowLink         href  children            (in the naming cell; covers the row)
//! Pager           previous? next?           (hrefs)
//! Card            title? actions?: ViewFnOnce flush= class?  children
//!
//! Notice          tone=Tone::Info title? action?: ViewFnOnce on_dismiss?: Callback<()>  children
//! EmptyState      title  glyph? action?: ViewFnOnce  children
//! Skeleton        shape=SkeletonShape::Text count=3        SkeletonShape::{Text, Rows, Card}
//!
//! RelativeTime    at: Signal<Timestamp>
//! Elapsed         from: Signal<Timestamp>  to?: Timestamp          (ticks)
//! TimeLeft        at: Timestamp words: &'static str         ("Ends in 8 s"; ticks)
//! DurationText    milliseconds: Signal<u64>
//!                 format_duration(ms) format_count(n) format_bytes(n) format_iso(Timestamp)    use_clock().second() -> Option<Timestamp>
//! Kbd             keys: String
//! CopyButton      text: Signal<String>  label="Copy" size=
//! CodeBlock       text: Signal<String>  title? wrap=
//! Markdown        html: Signal<String>     (sanitised on the server)
//! ```

mod button;
mod card;
mod dialog;
mod field;
pub mod focus;
mod icon;
mod menu;
mod notice;
mod pager;
mod role_chip;
mod side_panel;
mod status;
mod table;
mod tabs;
mod text;
mod time;
mod toast;

pub use button::{Button, ButtonKind, ButtonLink, ButtonSize, ButtonVariant, IconButton, IconLink};
pub use card::Card;
pub use dialog::{ConfirmDialog, Dialog, DialogSize};
pub use field::{Checkbox, Field, InputKind, Select, SelectOption, TextArea, TextField};
pub use icon::{Glyph, Icon};
pub use menu::{Menu, MenuHeading, MenuItem, MenuSeparator};
pub use notice::{EmptyState, Notice, Skeleton, SkeletonShape};
pub use pager::Pager;
pub use role_chip::{RoleChip, role_hue, role_initials};
pub use side_panel::SidePanel;
pub use status::{Badge, Status, StatusBadge, Tone};
pub use table::{Column, RowLink, Table};
pub use tabs::{Tab, Tabs};
pub use text::{CodeBlock, CopyButton, Kbd, Markdown, write_clipboard};
pub use time::{
    Clock, DurationText, Elapsed, RelativeTime, TimeLeft, format_bytes, format_count, format_duration,
    format_iso, format_utc, tell_times, use_clock,
};
pub use toast::{Toast, ToastRegion, Toasts, use_toasts};
