//! The demo project, created when the database is new.

use crate::{
    Engine, Error, Result,
    store::{self, accounts, conversations, messages, projects, roles, templates as template_rows},
    templates,
};
use domain::{
    access::Permission,
    id::{MessageId, ProjectId, RoleId, TaskId},
    key::{ModelName, ProjectKey, ProviderKey, RoleKey},
    template::shipped,
    view::{RoleDraft, Subject},
};
use sqlx::SqliteConnection;

/// Key, name, base prompt, temperature, in order of creation. The prompts are a few plain sentences, so that a small
/// model can follow them and a large one is not restricted.
const ROLES: [(&str, &str, &str, f64); 5] = [
    (
        "general_worker",
        "General worker",
        "You are a careful, practical assistant. Do exactly what is asked, with what you are given. \
         Be brief and concrete. If something you need is missing, say what it is instead of guessing.",
        0.3,
    ),
    (
        "senior_reviewer",
        "Senior reviewer",
        "You are a senior engineer who reviews code. Look first for bugs, then for unsafe code and missing error \
         handling, then for what is hard to read or slow. For each finding name the place, say why it matters, and \
         how to fix it. Put the most serious first. Leave out praise, and taste without a reason. \
         Report only what the code in front of you shows.",
        0.2,
    ),
    (
        "junior_reviewer",
        "Junior reviewer",
        "You are a junior engineer who reviews code and wants to understand it. Say step by step, in simple words, what \
         the code does. Point out what confused you: unclear names, missing comments, surprising behaviour. \
         Ask short questions where you are not sure.",
        0.5,
    ),
    (
        "report_bot",
        "Report bot",
        "You write clear reports in Markdown. Use short headings and bullet points. Put the most important point first. \
         Keep every fact you are given and add none. Do not speak about yourself.",
        0.1,
    ),
    (
        "mentor",
        "Mentor",
        "You are a patient mentor for programmers. For each problem explain the idea behind it, show a small example of \
         better code, and suggest one next step. Be kind and precise. Use plain language.",
        0.6,
    ),
];

const FIRST_TASK: &str = "Try Code Review";

const FIRST_MESSAGE: &str = "\
This is a conversation. What is run in it, and what comes of it, stays here.

1. Press Run template and choose Code Review.
2. Paste some code.
3. Choose a role for each step, for example senior_reviewer for Analyze Code and report_bot for Generate Report. \
A step without a role of its own gets general_worker.
4. Press Run, and watch the steps write.

Then run it again with other roles: the template stays as it is, only the roles change.

The roles of this project use the small model that runs on this machine. It is quick and free, and makes mistakes; \
add a larger one under Settings, Models, and give it to the roles.";

/// Creates the project `demo` with roles, a template and a first conversation in one transaction. Does nothing if any
/// project exists.
pub(crate) async fn demo(engine: &Engine) -> Result<()> {
    let local = ProviderKey::parse("local").map_err(Error::internal)?;
    let model = ModelName::new(local, &engine.0.models.local_model()).map_err(Error::internal)?;
    let read = |source: &&str| templates::read(source, templates::Format::Yaml, &engine.0.runs.shelf);
    let shipped = shipped::DEMO.iter().map(read).collect::<Result<Vec<_>>>()?;
    engine
        .0
        .store
        .write(move |tx| {
            Box::pin(async move {
                if projects::any(tx).await? {
                    return Ok(());
                }
                let project = ProjectId(store::mint());
                let key = ProjectKey::parse("demo").map_err(Error::internal)?;
                projects::insert(tx, project, &key, "Demo", store::now()).await?;
                for admin in accounts::admins(tx).await? {
                    projects::set_member(tx, project, admin, Permission::Admin).await?;
                }
                for role in ROLES {
                    make_role(tx, project, role, &model).await?;
                }
                for template in &shipped {
                    template_rows::insert(tx, project, template, None).await?;
                }
                let task = TaskId(store::mint());
                messages::insert_task(tx, task, project, None, FIRST_TASK, store::now()).await?;
                let message = MessageId(store::mint());
                conversations::insert_system(tx, message, task, FIRST_MESSAGE, store::now()).await?;
                store::change(tx, project, &Subject::Task { id: task }).await
            })
        })
        .await
}

async fn make_role(
    tx: &mut SqliteConnection,
    project: ProjectId,
    (key, name, prompt, temperature): (&str, &str, &str, f64),
    model: &ModelName,
) -> Result<()> {
    let draft = RoleDraft {
        key: RoleKey::parse(key).map_err(Error::internal)?,
        name: name.to_owned(),
        base_prompt: prompt.to_owned(),
        model: model.clone(),
        temperature: Some(temperature),
        max_tokens: None,
        tools: Vec::new(),
    };
    let (id, now) = (RoleId(store::mint()), store::now());
    roles::insert(tx, id, project, &draft.key, now).await?;
    roles::insert_version(tx, id, 1, &draft, None, now).await
}
