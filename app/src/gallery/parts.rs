//! The components of the design system.

use domain::id::Timestamp;
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

use crate::ui::*;

#[component]
pub fn TabsInTheUrl() -> impl IntoView {
    let query = use_query_map();
    let current = Signal::derive(move || query.read().get("tab").unwrap_or_else(|| "timeline".into()));
    let tabs = ["timeline", "graph", "events", "files"].map(|key| {
        let mut label = key.to_owned();
        label[..1].make_ascii_uppercase();
        let tab = Tab::new(key, label, format!("?tab={key}"));
        if key == "events" { tab.count(1_449) } else { tab }
    });
    view! { <Tabs label="View" tabs=tabs.to_vec() current/> }
}

#[component]
pub fn Buttons() -> impl IntoView {
    let variants = [
        (ButtonVariant::Primary, "Primary"),
        (ButtonVariant::Secondary, "Secondary"),
        (ButtonVariant::Ghost, "Ghost"),
        (ButtonVariant::Danger, "Danger"),
    ];
    let rows = variants
        .map(|(variant, name)| {
            view! {
                <div class="row">
                    <Button variant size=ButtonSize::Small>{name}</Button>
                    <Button variant>{name}</Button>
                    <Button variant size=ButtonSize::Large>{name}</Button>
                    <Button variant glyph=Glyph::Plus>"With an icon"</Button>
                    <Button variant busy=true>"Busy"</Button>
                    <Button variant disabled=true>"Disabled"</Button>
                    <ButtonLink variant href="#">"A link"</ButtonLink>
                    <IconButton variant glyph=Glyph::Copy label="Copy"/>
                </div>
            }
        })
        .collect_view();
    view! { <Card title="Buttons"><div class="stack-tight">{rows}</div></Card> }
}

#[component]
pub fn Statuses() -> impl IntoView {
    let badges = Status::ALL.map(|status| view! { <StatusBadge status/> }).collect_view();
    let plain = Status::ALL.map(|status| view! { <StatusBadge status plain=true/> }).collect_view();
    let icons = Status::ALL.map(|status| view! { <StatusBadge status icon_only=true/> }).collect_view();
    let tones = [Tone::Neutral, Tone::Accent, Tone::Info, Tone::Success, Tone::Warning, Tone::Error]
        .map(|tone| view! { <Badge tone>{format!("{tone:?}")}</Badge> })
        .collect_view();
    let roles =
        ["senior_reviewer", "report_bot", "general_worker", "writer", "critic", "planner", "junior-dev"]
            .map(|role| view! { <RoleChip role href="#"/> <RoleChip role compact=true/> })
            .collect_view();
    view! {
        <Card title="Statuses, badges, roles">
            <div class="stack-tight">
                <div class="row">{badges}</div>
                <div class="row">
                    <StatusBadge status=Status::Retrying detail="attempt 2 of 3"/>
                    <StatusBadge status=Status::Queued detail="third in the queue"/>
                </div>
                <div class="row">{plain}</div>
                <div class="row">{icons}</div>
                <div class="row">{tones}</div>
                <div class="row">{roles} <RoleChip role="general_worker" fallback=true/></div>
            </div>
        </Card>
    }
}

#[component]
pub fn Rows() -> impl IntoView {
    let columns = || {
        vec![
            Column::new("Status").hidden(),
            Column::new("Run"),
            Column::new("Roles").wide_only(),
            Column::new("Tokens").num().wide_only(),
            Column::new("Took").num(),
            Column::new("Started").num(),
            Column::new("Actions").hidden(),
        ]
    };
    let states = [
        (Status::Running, "Code review", 190_000),
        (Status::Completed, "Quarterly report", 8_240),
        (
            Status::CompletedWithWarnings,
            "Suggest improvements to a very long title that has to end in dots",
            820,
        ),
        (Status::Failed, "Translate", 61_000),
        (Status::Skipped, "Ask", 7_500_000),
    ];
    let rows = states
        .into_iter()
        .enumerate()
        .map(|(index, (status, name, took))| {
            let started = Timestamp(1_795_235_860_000 - i64::try_from(took).unwrap_or(0) * 40);
            view! {
                <tr>
                    <td><StatusBadge status icon_only=true/></td>
                    <td class="clip"><RowLink href=format!("?row={index}")>{name}</RowLink></td>
                    <td class="wide-only tight">
                        <span class="row">
                            <RoleChip role="senior_reviewer" compact=true/>
                            <RoleChip role="report_bot" compact=true/>
                        </span>
                    </td>
                    <td class="num wide-only">{format_count(took / 7)}</td>
                    <td class="num"><DurationText milliseconds=took/></td>
                    <td class="num muted"><RelativeTime at=started/></td>
                    <td class="tight">
                        <Menu id=format!("row-{index}") label="Actions" size=ButtonSize::Small>
                            <MenuItem glyph=Glyph::Retry keys="R">"Run again"</MenuItem>
                            <MenuItem glyph=Glyph::Fork>"Fork from a step"</MenuItem>
                            <MenuSeparator/>
                            <MenuItem glyph=Glyph::Trash danger=true>"Delete"</MenuItem>
                        </Menu>
                    </td>
                </tr>
            }
        })
        .collect_view();
    view! {
        <Card title="Runs" flush=true actions=|| view! { <Button size=ButtonSize::Small glyph=Glyph::Filter>"Filter"</Button> }>
            <Table label="Runs" columns=columns()>{rows}</Table>
        </Card>
        <Pager previous="?before=1" next="?after=1"/>
    }
}

#[component]
pub fn Fields() -> impl IntoView {
    let text = RwSignal::new("Calculator".to_owned());
    let model = RwSignal::new("local/small".to_owned());
    let options = vec![
        SelectOption::new("local/small", "local / small"),
        SelectOption::new("openai/gpt", "openai / gpt"),
        SelectOption::new("none", "not reachable").disabled(),
    ];
    view! {
        <Card title="Fields">
            <form class="stack">
                <TextField label="Name" name="name" bind=text hint=Signal::derive(move || Some(format!("{} characters", text.read().len())))/>
                <TextField label="Email" name="email" kind=InputKind::Email error="That is not an address. Write it as name@example.com." value="nobody"/>
                <TextField label="Key" name="key" mono=true optional=true placeholder="senior_reviewer"/>
                <TextField label="Owner" name="owner" disabled=true value="admin"/>
                <Select label="Model" name="model" options bind=model/>
                <TextArea label="Prompt" name="prompt" value="Review this code.\nSay what is wrong first." hint="Ctrl Enter sends."/>
                <Checkbox label="Idempotent" name="idempotent" hint="May run twice without harm."/>
                <Checkbox label="Agreed" name="agreed" checked=true/>
            </form>
        </Card>
    }
}

#[component]
pub fn Floating() -> impl IntoView {
    let (dialog, confirm) = (RwSignal::new(false), RwSignal::new(false));
    let toasts = use_toasts();
    let query = use_query_map();
    let footer = move || {
        view! {
            <Button on_click=move || dialog.set(false)>"Cancel"</Button>
            <Button variant=ButtonVariant::Primary on_click=move || dialog.set(false)>"Save"</Button>
        }
    };
    view! {
        <Card title="What floats">
            <div class="row">
                <Button on_click=move || dialog.set(true)>"Dialog"</Button>
                <Button on_click=move || confirm.set(true)>"Confirm"</Button>
                <Menu id="gallery-menu" label="Project" variant=ButtonVariant::Secondary trigger=|| "Demo project">
                    <MenuHeading>"Projects"</MenuHeading>
                    <MenuItem checked=true glyph=Glyph::Project>"Demo project"</MenuItem>
                    <MenuItem glyph=Glyph::Project>"Another"</MenuItem>
                    <MenuSeparator/>
                    <MenuItem href="?" glyph=Glyph::Plus>"New project"</MenuItem>
                </Menu>
                <ButtonLink href="?panel=step">"Side panel"</ButtonLink>
                <Button on_click=move || toasts.success("Role saved as version 4.")>"Toast"</Button>
                <Button on_click=move || toasts.error("The provider refused the key. Change it under Settings.")>
                    "Error toast"
                </Button>
                <Button on_click=move || toasts.show(Toast::new(Tone::Info, "Run 42 deleted.").action("Undo", || ()))>
                    "Toast with an action"
                </Button>
            </div>
            <Dialog open=dialog title="New role" footer>
                <TextField label="Name" name="role-name"/>
                <TextArea label="Base prompt" name="role-prompt"/>
            </Dialog>
            <ConfirmDialog
                open=confirm
                title="Delete role"
                text="Templates that ran with it keep its versions. This cannot be undone."
                confirm="Delete role"
                on_confirm=move || confirm.set(false)
            />
            <Show when=move || query.read().get("panel").is_some()>
                <SidePanel title="Analyze Code" close_href="?">
                    <div class="stack">
                        <div class="row"><StatusBadge status=Status::Completed/> <RoleChip role="senior_reviewer"/></div>
                        <CodeBlock title="Output" text="{\n  \"score\": 7\n}"/>
                    </div>
                </SidePanel>
            </Show>
        </Card>
    }
}

#[component]
pub fn Words() -> impl IntoView {
    let code = "fn main() {\n    println!(\"{}\", \"a long line that goes on and on and on and on and on and on and on and on and on and on and on until it has to scroll\");\n}";
    let html = "<h2>Findings</h2><p>The module has <strong>two</strong> defects in <code>parse()</code>:</p><ol><li>It \
        drops the last line.</li><li>It trusts its <a href=\"#\">input</a>.</li></ol><blockquote><p>Trust nothing.</p>\
        </blockquote><pre><code>let x = 1;</code></pre>";
    view! {
        <Card title="Words">
            <div class="stack">
                <div class="row">
                    <Kbd keys="Ctrl K"/> <Kbd keys="?"/>
                    <Elapsed from=Timestamp(1_795_235_860_000) to=Timestamp(1_795_235_868_200)/>
                    <CopyButton text="copied"/>
                </div>
                <CodeBlock text=code title="main.rs"/>
                <Markdown html/>
            </div>
        </Card>
    }
}

#[component]
pub fn Places() -> impl IntoView {
    view! {
        <Notice title="general_worker stood in" action=|| view! { <Button size=ButtonSize::Small>"Assign a role"</Button> } tone=Tone::Warning>
            "No role was chosen for \"Suggest improvements\"."
        </Notice>
        <Notice>"The local model answers. Add a provider for better ones."</Notice>
        <Notice tone=Tone::Error title="Step \"Translate\" failed" on_dismiss=|| ()>
            "The provider was overloaded three times. What the other steps wrote is kept."
        </Notice>
        <Card>
            <EmptyState
                title="No runs yet"
                glyph=Glyph::Runs
                action=|| view! { <Button variant=ButtonVariant::Primary glyph=Glyph::Play>"Run a template"</Button> }
            >
                "A run is one execution of a template, with a role for each step. It stays in the conversation where it began."
            </EmptyState>
        </Card>
        <Card title="Loading">
            <Skeleton/>
            <Skeleton shape=SkeletonShape::Rows/>
        </Card>
    }
}

#[component]
pub fn Glyphs() -> impl IntoView {
    let all = Glyph::ALL
        .map(|glyph| view! { <span title=format!("{glyph:?}")><Icon glyph/></span> })
        .collect_view();
    view! { <Card title="Icons"><div class="row">{all}</div></Card> }
}
