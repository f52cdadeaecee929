//! The table of routes.

use leptos::prelude::*;
use leptos_router::{
    SsrMode,
    components::{Outlet, ParentRoute, Route, Routes},
    path,
};

use crate::{
    conversation::{ConversationPage, ConversationsPage, NewConversationPage},
    dashboard::{DashboardPage, LiveRuns},
    execute::ExecutePage,
    gallery::GalleryPage,
    inbox::{InboxCount, InboxPage},
    layout::{BareFrame, Frame, PageHeader},
    project::{HomePage, NewProjectPage, ProjectSwitcher},
    role::{EditRolePage, NewRolePage, RolesPage},
    run::{ComparePage, RunPage, RunsPage},
    search::{Palette, PaletteButton, SearchPage},
    settings::{MembersPage, ModelsPage, TokensPage},
    sign_in::{AccountMenu, FirstRunPage, SignInPage},
    standing::StandingHere,
    template::{EditTemplatePage, NewTemplatePage, TemplatePage, TemplatesPage},
    ui::{ButtonLink, ButtonVariant},
};

#[component]
pub fn AppRoutes() -> impl IntoView {
    view! {
        <Routes fallback=NotFound>
            <Route path=path!("/sign-in") view=SignInPage/>
            <Route path=path!("/first-run") view=FirstRunPage ssr=SsrMode::Async/>
            <ParentRoute path=path!("") view=Framed>
                <Route path=path!("/") view=HomePage ssr=SsrMode::Async/>
                <Route path=path!("/projects/new") view=NewProjectPage/>
                <Route path=path!("/p/:project") view=HomePage ssr=SsrMode::Async/>
                <Route path=path!("/p/:project/dashboard") view=DashboardPage ssr=SsrMode::Async/>
                <Route path=path!("/p/:project/inbox") view=InboxPage ssr=SsrMode::Async/>
                <Route path=path!("/p/:project/search") view=SearchPage ssr=SsrMode::Async/>
                <Route path=path!("/p/:project/conversations") view=ConversationsPage ssr=SsrMode::Async/>
                <Route path=path!("/p/:project/conversations/new") view=NewConversationPage ssr=SsrMode::Async/>
                <Route path=path!("/p/:project/conversations/:task") view=ConversationPage ssr=SsrMode::Async/>
                <Route path=path!("/p/:project/runs") view=RunsPage ssr=SsrMode::Async/>
                <Route path=path!("/p/:project/runs/:number") view=RunPage ssr=SsrMode::Async/>
                <Route path=path!("/p/:project/compare") view=ComparePage ssr=SsrMode::Async/>
                <Route path=path!("/p/:project/templates") view=TemplatesPage ssr=SsrMode::Async/>
                <Route path=path!("/p/:project/templates/new") view=NewTemplatePage ssr=SsrMode::Async/>
                <Route path=path!("/p/:project/templates/:key") view=TemplatePage ssr=SsrMode::Async/>
                <Route path=path!("/p/:project/templates/:key/edit") view=EditTemplatePage ssr=SsrMode::Async/>
                <Route path=path!("/p/:project/templates/:key/execute") view=ExecutePage ssr=SsrMode::Async/>
                <Route path=path!("/p/:project/roles") view=RolesPage ssr=SsrMode::Async/>
                <Route path=path!("/p/:project/roles/new") view=NewRolePage ssr=SsrMode::Async/>
                <Route path=path!("/p/:project/roles/:key") view=EditRolePage ssr=SsrMode::Async/>
                <Route path=path!("/settings") view=ModelsPage ssr=SsrMode::Async/>
                <Route path=path!("/settings/models") view=ModelsPage ssr=SsrMode::Async/>
                <Route path=path!("/settings/members") view=MembersPage ssr=SsrMode::Async/>
                <Route path=path!("/settings/tokens") view=TokensPage ssr=SsrMode::Async/>
                <Route path=path!("/gallery") view=GalleryPage/>
                <Route path=path!("/p/:project/gallery") view=GalleryPage/>
            </ParentRoute>
        </Routes>
    }
}

/// The pages behind the sign-in.
#[component]
fn Framed() -> impl IntoView {
    StandingHere::provide();
    view! {
        <Frame
            project_switcher=|| view! { <ProjectSwitcher/> }
            inbox_count=|| view! { <InboxCount/> }
            live=|| view! { <LiveRuns/> }
            search=|| view! { <PaletteButton/> }
            account=|| view! { <AccountMenu/> }
        >
            <Outlet/>
        </Frame>
        <Palette/>
    }
}

/// A page of its own, for an address that leads nowhere.
#[component]
pub fn NotFound() -> impl IntoView {
    view! {
        <BareFrame>
            <NothingHere/>
        </BareFrame>
    }
}

/// What a page shows, within whatever frames it, when the thing its URL names is not there.
#[component]
pub fn NothingHere() -> impl IntoView {
    #[cfg(feature = "ssr")]
    if let Some(response) = use_context::<leptos_axum::ResponseOptions>() {
        response.set_status(axum::http::StatusCode::NOT_FOUND);
    }
    view! {
        <PageHeader title="Not found" subtitle="Nothing lives at this address, or you may not see it."/>
        <ButtonLink href="/" variant=ButtonVariant::Primary>"Go to the start page"</ButtonLink>
    }
}
