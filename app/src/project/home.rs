//! `/` and `/p/demo`: redirects to that project, the last one or the first one; without any project, explains how to
//! get one.

use super::{
    server::{CreateProject, home_project},
    use_project_here,
};
use crate::{
    fault,
    form::{FaultNotice, FaultPage, error_at, fault_of},
    layout::PageHeader,
    load::{Loaded, draw, load},
    session::current_user,
    ui::{Button, ButtonKind, ButtonLink, ButtonVariant, EmptyState, Glyph, TextField},
};
use domain::view::User;
use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::components::Redirect;

#[component]
pub fn HomePage() -> impl IntoView {
    let here = use_project_here();
    let project = load(
        move || here.get(),
        |here| async move {
            match here {
                Some(key) => Ok(Some(key)),
                None => home_project().await,
            }
        },
    );
    let user = load(|| (), |()| current_user());
    view! {
        <Title text="Start"/>
        <Suspense>
            {draw(project, move |answer| match answer {
                Ok(Some(key)) => view! { <Redirect path=format!("/p/{key}/conversations")/> }.into_any(),
                Ok(None) => view! { <NoProject user/> }.into_any(),
                Err(fault) => view! { <FaultPage fault/> }.into_any(),
            })}
        </Suspense>
    }
    .into_any()
}

#[component]
fn NoProject(user: Loaded<fault::Result<Option<User>>>) -> impl IntoView {
    let action = || {
        view! {
            <ButtonLink href="/projects/new" variant=ButtonVariant::Primary glyph=Glyph::Plus>
                "New project"
            </ButtonLink>
        }
    };
    view! {
        <Suspense>
            {move || Suspend::new(async move {
                let admin = user.await.ok().flatten().is_some_and(|user| user.admin);
                if admin {
                    view! {
                        <EmptyState title="No project yet" glyph=Glyph::Project action>
                            "A project holds a team's templates, roles and runs."
                        </EmptyState>
                    }
                        .into_any()
                } else {
                    view! {
                        <EmptyState title="No project yet" glyph=Glyph::Project>
                            "You are a member of no project. Ask an administrator to add you to one."
                        </EmptyState>
                    }
                        .into_any()
                }
            })}
        </Suspense>
    }
}

/// `/projects/new`, for administrators of the installation.
#[component]
pub fn NewProjectPage() -> impl IntoView {
    let action = ServerAction::<CreateProject>::new();
    let fault = fault_of(action);
    let pending = action.pending();
    view! {
        <PageHeader title="New project"/>
        <div class="form-narrow">
            <ActionForm action>
                <div class="form">
                    <FaultNotice fault fields=&["name", "key"]/>
                    <TextField label="Name" name="name" error=error_at(fault, "name") required=true/>
                    <TextField
                        label="Key"
                        name="key"
                        error=error_at(fault, "key")
                        hint="Stands in addresses and cannot be changed. Left empty, it is made of the name."
                        mono=true
                        optional=true
                    />
                    <div class="form-actions">
                        <Button kind=ButtonKind::Submit variant=ButtonVariant::Primary busy=pending>
                            "Make the project"
                        </Button>
                    </div>
                </div>
            </ActionForm>
        </div>
    }
    .into_any()
}
