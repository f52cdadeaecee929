//! Dense tables: 32 px rows, a sticky header, arrows or J and K to move, Enter to open.
//!
//! A row is `<tr>` with plain `<td>`s; its naming cell contains a `RowLink`, which covers the whole row. Cell classes:
//! `num` (right-aligned, tabular), `mono`, `muted`, `clip` (one line with an ellipsis), `tight` (as narrow as its
//! content), `wide-only` (hidden on a phone; set it on the column too).

use leptos::{ev::KeyboardEvent, html, prelude::*};

use super::focus::{Move, move_focus};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    label: String,
    class: String,
    hidden: bool,
}

impl Column {
    pub fn new(label: impl Into<String>) -> Self {
        Self { label: label.into(), class: String::new(), hidden: false }
    }

    /// A column of numbers, right-aligned.
    pub fn num(self) -> Self {
        self.with("num")
    }

    /// A column as narrow as its content.
    pub fn tight(self) -> Self {
        self.with("tight")
    }

    /// Hidden on a phone. Its cells need the class `wide-only` too.
    pub fn wide_only(self) -> Self {
        self.with("wide-only")
    }

    /// The label is for screen readers only, as for columns of icons and menus.
    pub fn hidden(mut self) -> Self {
        self.hidden = true;
        self.with("tight")
    }

    fn with(mut self, class: &str) -> Self {
        self.class.push_str(class);
        self.class.push(' ');
        self
    }
}

/// The children are the rows of the body. `label` names the table.
#[component]
pub fn Table(#[prop(into)] label: String, columns: Vec<Column>, children: Children) -> impl IntoView {
    let node = NodeRef::<html::Table>::new();
    let keydown = move |event: KeyboardEvent| {
        if event.ctrl_key() || event.meta_key() || event.alt_key() || crate::keyboard::is_typing(&event) {
            return;
        }
        let key = event.key();
        let step = match key.as_str() {
            "j" => Some(Move::Next),
            "k" => Some(Move::Previous),
            other => Move::from_key(other),
        };
        if let (Some(step), Some(table)) = (step, node.get_untracked())
            && move_focus(&table, "a.row-link", step)
        {
            event.prevent_default();
        }
    };
    let head = columns
        .into_iter()
        .map(|column| {
            let label = column.label;
            view! {
                <th scope="col" class=column.class>
                    {if column.hidden {
                        view! { <span class="visually-hidden">{label}</span> }.into_any()
                    } else {
                        label.into_any()
                    }}
                </th>
            }
        })
        .collect_view();
    view! {
        <div class="table-scroll">
            <table node_ref=node class="table" aria-label=label on:keydown=keydown>
                <thead><tr>{head}</tr></thead>
                <tbody>{children()}</tbody>
            </table>
        </div>
    }
}

/// The link of a row. A click anywhere on the row, outside other controls, follows it.
#[component]
pub fn RowLink(#[prop(into)] href: Signal<String>, children: Children) -> impl IntoView {
    view! { <a class="row-link" href=move || href.get()>{children()}</a> }
}
