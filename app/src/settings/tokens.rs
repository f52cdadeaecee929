//! `/settings/tokens`: the user's own API tokens. A token is shown once, on creation.

use super::{
    server::{CreateToken, RevokeToken, list_api_tokens},
    tabs::SettingsHead,
};
use crate::{
    form::{FaultNotice, FaultPage, error_at, fault_of},
    load::{draw_in_place, load},
    ui::{
        Button, ButtonKind, ButtonSize, ButtonVariant, Card, CodeBlock, Column, ConfirmDialog, EmptyState,
        Glyph, Notice, RelativeTime, Skeleton, SkeletonShape, Table, TextField, Tone,
    },
};
use domain::view::ApiToken;
use leptos::{html, prelude::*};

#[component]
pub fn TokensPage() -> impl IntoView {
    let create = ServerAction::<CreateToken>::new();
    let changes = RwSignal::new(0_u32);
    let tokens = load(move || (create.version().get(), changes.get()), |_| list_api_tokens());
    view! {
        <SettingsHead current="tokens"/>
        <div class="stack">
            <Transition fallback=|| view! { <Skeleton shape=SkeletonShape::Rows count=3/> }>
                {draw_in_place(tokens, move |answer| match answer {
                    Ok(tokens) if tokens.is_empty() => {
                        view! {
                            <EmptyState title="No API tokens" glyph=Glyph::Key>
                                "A token lets a program act as you: it sends it as a bearer token to /api/v1."
                            </EmptyState>
                        }
                            .into_any()
                    }
                    Ok(tokens) => view! { <All tokens changes/> }.into_any(),
                    Err(fault) => view! { <FaultPage fault/> }.into_any(),
                })}
            </Transition>
            <Create create/>
        </div>
    }
    .into_any()
}

#[component]
fn All(tokens: Vec<ApiToken>, changes: RwSignal<u32>) -> impl IntoView {
    let row = move |token: ApiToken| {
        view! {
            <tr>
                <td class="clip">{token.name.clone()}</td>
                <td class="muted tight">
                    <RelativeTime at=token.created_at/>
                </td>
                <td class="tight">
                    <Revoke token changes/>
                </td>
            </tr>
        }
    };
    let columns = vec![Column::new("Name"), Column::new("Made").tight(), Column::new("Revoke").hidden()];
    view! {
        <Table label="API tokens" columns>
            {tokens.into_iter().map(row).collect_view()}
        </Table>
    }
}

#[component]
fn Revoke(token: ApiToken, changes: RwSignal<u32>) -> impl IntoView {
    let open = RwSignal::new(false);
    let action = ServerAction::<RevokeToken>::new();
    let fault = fault_of(action);
    Effect::new(move |_| {
        if matches!(action.value().get(), Some(Ok(()))) {
            changes.update(|changes| *changes += 1);
        }
    });
    let id = token.id;
    let confirm = move || {
        action.dispatch(RevokeToken { id });
        open.set(false);
    };
    view! {
        <FaultNotice fault/>
        <Button size=ButtonSize::Small on_click=move || open.set(true)>
            "Revoke…"
        </Button>
        <ConfirmDialog
            open
            title=format!("Revoke the token {}?", token.name)
            text="Programs that use it are refused from now on. This cannot be undone."
            confirm="Revoke the token"
            on_confirm=confirm
        />
    }
}

#[component]
fn Create(create: ServerAction<CreateToken>) -> impl IntoView {
    let fault = fault_of(create);
    let token = Memo::new(move |_| create.value().get().and_then(Result::ok));
    let node = NodeRef::<html::Form>::new();
    Effect::new(move |_| {
        if matches!(create.value().get(), Some(Ok(_)))
            && let Some(form) = node.get_untracked()
        {
            form.reset();
        }
    });
    view! {
        <Card title="Make a token">
            <ActionForm action=create node_ref=node>
                <div class="form">
                    <FaultNotice fault fields=&["name"]/>
                    {move || {
                        token
                            .get()
                            .map(|token| {
                                view! {
                                    <Notice tone=Tone::Success title="Copy it now: it is shown this once">
                                        <CodeBlock text=token wrap=true/>
                                    </Notice>
                                }
                            })
                    }}
                    <TextField
                        label="Name"
                        name="name"
                        hint="What will use it."
                        error=error_at(fault, "name")
                        required=true
                    />
                    <div class="form-actions">
                        <Button kind=ButtonKind::Submit variant=ButtonVariant::Primary busy=create.pending()>
                            "Make the token"
                        </Button>
                    </div>
                </div>
            </ActionForm>
        </Card>
    }
}
