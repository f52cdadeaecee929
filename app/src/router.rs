//! The table of routes.

use leptos::prelude::*;
use leptos_router::{
    MatchNestedRoutes, SsrMode,
    components::{Outlet, ParentRoute, Route, Routes},
    path,
};

use crate::{
    chunks::{Admin, Compare, Design, Inspect, Survey},
    conversation::{ConversationPage, ConversationsPage, NewConversationPage},
    dashboard::LiveRuns,
    execute::ExecutePage,
    inbox::InboxPage,
    layout::{BareFrame, Frame, PageHeader, Section},
    project::{HomePage, ProjectSwitcher},
    search::{Palette, PaletteButton},
    sign_in::{AccountMenu, FirstRunPage, SignInPage},
    standing::{SectionCount, StandingHere},
    ui::{ButtonLink, ButtonVariant},
};

#[component]
pub fn AppRoutes() -> impl IntoView {
    view! { <Routes fallback=NotFound children=ToChildren::to_children(table)/> }
}

/// All pages, and the chunks that contain them.
pub fn table() -> impl MatchNestedRoutes + Clone + Send + 'static {
    view! {
        <Route path=path!("/sign-in") view=SignInPage/>
        <Route path=path!("/first-run") view=FirstRunPage ssr=SsrMode::Async/>
        <ParentRoute path=path!("") view=Framed>
            <Route path=path!("/") view=HomePage ssr=SsrMode::Async/>
            <Route path=path!("/projects/new") view=Admin::NewProject/>
            <Route path=path!("/p/:project") view=HomePage ssr=SsrMode::Async/>
            <Route path=path!("/p/:project/dashboard") view=Survey::Live ssr=SsrMode::Async/>
            <Route path=path!("/p/:project/inbox") view=InboxPage ssr=SsrMode::Async/>
            <Route path=path!("/p/:project/search") view=Survey::Found ssr=SsrMode::Async/>
            <Route path=path!("/p/:project/conversations") view=ConversationsPage ssr=SsrMode::Async/>
            <Route path=path!("/p/:project/conversations/new") view=NewConversationPage ssr=SsrMode::Async/>
            <Route path=path!("/p/:project/conversations/:task") view=ConversationPage ssr=SsrMode::Async/>
            <Route path=path!("/p/:project/runs") view=Survey::Runs ssr=SsrMode::Async/>
            <Route path=path!("/p/:project/runs/:number") view=Inspect::Run ssr=SsrMode::Async/>
            <Route path=path!("/p/:project/compare") view=Compare::Runs ssr=SsrMode::Async/>
            <Route path=path!("/p/:project/templates") view=Design::List ssr=SsrMode::Async/>
            <Route path=path!("/p/:project/templates/new") view=Design::New ssr=SsrMode::Async/>
            <Route path=path!("/p/:project/templates/:key") view=Design::One ssr=SsrMode::Async/>
            <Route path=path!("/p/:project/templates/:key/edit") view=Design::Edit ssr=SsrMode::Async/>
            <Route path=path!("/p/:project/templates/:key/execute") view=ExecutePage ssr=SsrMode::Async/>
            <Route path=path!("/p/:project/roles") view=Admin::Roles ssr=SsrMode::Async/>
            <Route path=path!("/p/:project/roles/new") view=Admin::NewRole ssr=SsrMode::Async/>
            <Route path=path!("/p/:project/roles/:key") view=Admin::Role ssr=SsrMode::Async/>
            <Route path=path!("/settings") view=Admin::Models ssr=SsrMode::Async/>
            <Route path=path!("/settings/models") view=Admin::Models ssr=SsrMode::Async/>
            <Route path=path!("/settings/members") view=Admin::Members ssr=SsrMode::Async/>
            <Route path=path!("/settings/tokens") view=Admin::Tokens ssr=SsrMode::Async/>
            <Route path=path!("/gallery") view=Admin::Gallery ssr=SsrMode::Async/>
            <Route path=path!("/p/:project/gallery") view=Admin::Gallery ssr=SsrMode::Async/>
        </ParentRoute>
    }
    .into_inner()
}

/// The pages behind the sign-in.
#[component]
fn Framed() -> impl IntoView {
    StandingHere::provide();
    view! {
        <Frame
            project_switcher=|| view! { <ProjectSwitcher/> }
            count=section_count
            live=|| view! { <LiveRuns/> }
            search=|| view! { <PaletteButton/> }
            account=|| view! { <AccountMenu/> }
        >
            <Outlet/>
        </Frame>
        <Palette/>
    }
}

/// The page for an unknown address.
#[component]
pub fn NotFound() -> impl IntoView {
    view! {
        <BareFrame>
            <NothingHere/>
        </BareFrame>
    }
}

/// The content of a page whose subject does not exist, inside its frame.
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

/// The count next to a section's name.
fn section_count(section: Section) -> Option<AnyView> {
    match section {
        Section::Inbox => {
            Some(view! { <SectionCount of=|now| now.inbox words="waiting" class="nav-count"/> }.into_any())
        }
        Section::Conversations => {
            let class = "nav-count nav-count-quiet";
            Some(view! { <SectionCount of=|now| now.unread words="unread" class/> }.into_any())
        }
        _ => None,
    }
}
