//! An engine on a new data folder, a project, and one user of each kind.

use domain::{
    access::Permission,
    key::{ModelName, ProjectKey, RoleKey},
    view::RoleDraft,
};
use engine::{Config, Engine, Environment, User};
use secrecy::SecretString;
use std::path::Path;

pub const PASSWORD: &str = "correct horse battery";

pub struct Staff {
    pub engine: Engine,
    pub project: ProjectKey,
    /// An installation admin who is not a member of the project.
    pub root: User,
    pub admin: User,
    pub editor: User,
    pub viewer: User,
    /// Not a member of any project.
    pub stranger: User,
    pub data: tempfile::TempDir,
}

pub fn config(data: &Path) -> Config {
    Config { data: data.into(), serve: true, seed_demo: false, environment: Environment::default() }
}

/// A new engine without users.
pub async fn empty() -> (Engine, tempfile::TempDir) {
    let data = tempfile::tempdir().unwrap();
    (Engine::open(config(data.path())).await.unwrap(), data)
}

pub fn password() -> SecretString {
    PASSWORD.into()
}

pub fn project_key(key: &str) -> ProjectKey {
    ProjectKey::parse(key).unwrap()
}

pub fn role(key: &str) -> RoleDraft {
    RoleDraft {
        key: RoleKey::parse(key).unwrap(),
        name: key.to_owned(),
        base_prompt: "Be brief.".to_owned(),
        model: ModelName::parse("local/any").unwrap(),
        temperature: None,
        max_tokens: None,
        tools: Vec::new(),
    }
}

impl Staff {
    pub async fn new() -> Self {
        let (engine, data) = empty().await;
        let person = async |name: &str, admin| {
            engine.create_user(&format!("{name}@example.org"), name, password(), admin).await.unwrap()
        };
        let root = person("root", true).await;
        let admin = person("admin", false).await;
        let editor = person("editor", false).await;
        let viewer = person("viewer", false).await;
        let stranger = person("stranger", false).await;
        let project = project_key("lab");
        engine.create_project(&root, project.clone(), "Lab").await.unwrap();
        for (user, permission) in
            [(&admin, Permission::Admin), (&editor, Permission::Editor), (&viewer, Permission::Viewer)]
        {
            engine.set_member(&root, &project, &user.email, Some(permission)).await.unwrap();
        }
        engine.set_member(&root, &project, &root.email, None).await.unwrap();
        Self { engine, project, root, admin, editor, viewer, stranger, data }
    }
}
