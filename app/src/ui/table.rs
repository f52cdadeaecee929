//! Dense tables: 32 px rows, a header that stays, arrows or J and K to move, Enter to open.
//!
//! A row is `<tr>` with plain `<td>`s; the cell that names the thing holds a `RowLink`, which covers the whole row. Cell
//! classes: `num` (right, tabular), `mono`, `muted`, `clip` (one line, dots), `tight` (as narrow as its content),
//! `wide-only` (gone on a phone; say so on the column too).

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

    /// Numbers: at the right.
    pub fn num(self) -> Self {
        self.with("num")
    }

    /// As narrow as its content.
    pub fn tight(self) -> Self {
        self.with("tight")
    }

    /// Not on a phone. Its cells take the class `wide-only` too.
    pub fn wide_only(self) -> Self {
        self.with("wide-only")
    }

    /// The label is for those who listen alone, as for icons and menus.
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

/// The link of a row; a click anywhere on the row that hits nothing else follows it.
#[component]
pub fn RowLink(#[prop(into)] href: Signal<String>, children: Children) -> impl IntoView {
    view! { <a class="row-link" href=move || href.get()>{children()}</a> }
}
