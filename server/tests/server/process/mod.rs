//! The real server as a separate process, on a data folder that outlives it.

use domain::{
    key::{ModelName, ProjectKey, ProviderKey, RoleKey},
    provider::ProviderKind,
    view::RoleDraft,
};
use engine::{Config, Engine, Environment, Format, ProviderDraft, User};
use scripted::Server;
use secrecy::SecretString;
use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

pub struct Troupe {
    child: Child,
    pub url: String,
}

impl Troupe {
    pub fn start(data: &Path) -> Self {
        Self::serve(Command::new(env!("CARGO_BIN_EXE_troupe")), data)
    }

    /// Starts the server from a shell that first prepares the process, for example with a limit.
    pub fn start_after(preparation: &str, data: &Path) -> Self {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("{preparation}; exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_troupe")]);
        Self::serve(shell, data)
    }

    fn serve(mut command: Command, data: &Path) -> Self {
        let mut child = command
            .args(["serve", "--listen", "127.0.0.1:0"])
            .env("TROUPE_DATA", data)
            .env("RUST_LOG", "off")
            .env_remove("PORT")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let url = lines
            .find_map(|line| line.unwrap().split_once("ready at ").map(|(_, url)| url.trim().to_owned()));
        Self { child, url: url.expect("it starts, whatever the last crash left") }
    }

    /// A value of `/proc/PID/status` in megabytes: `VmHWM` is the peak memory.
    #[cfg(target_os = "linux")]
    pub fn memory(&self, line: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let found = status.lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(':')).unwrap();
        found.split_whitespace().next().unwrap().parse::<u64>().unwrap() / 1024
    }

    /// A file of `/proc/PID`.
    #[cfg(target_os = "linux")]
    pub fn proc(&self, file: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{file}", self.child.id())).unwrap()
    }

    /// The processor time spent so far, in ticks of 10 ms.
    #[cfg(target_os = "linux")]
    pub fn processor_time(&self) -> Duration {
        let stat = self.proc("stat");
        let after_name = stat.rsplit_once(") ").unwrap().1;
        let fields: Vec<_> = after_name.split_whitespace().collect();
        let ticks: u64 = fields[11..13].iter().map(|field| field.parse::<u64>().unwrap()).sum();
        Duration::from_millis(ticks * 10)
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the process to end by itself.
    pub fn ended_within(&mut self, most: Duration) -> bool {
        let began = Instant::now();
        while began.elapsed() < most {
            if self.child.try_wait().unwrap().is_some() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }
}

/// Kills the process, as a crash would.
impl Drop for Troupe {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        self.child.wait().unwrap();
    }
}

pub async fn open(data: &Path) -> Engine {
    let config =
        Config { data: data.to_owned(), serve: false, seed_demo: false, environment: Environment::default() };
    Engine::open(config).await.unwrap()
}

pub fn lab() -> ProjectKey {
    ProjectKey::parse("lab").unwrap()
}

/// An admin, their API token, and a project with the objects that the runs need.
pub async fn furnish(data: &Path, models: &Server, templates: &[&str]) -> (User, String) {
    let engine = open(data).await;
    let password = SecretString::from("a long enough password");
    let admin = engine.create_user("admin@example.org", "Ada", password, true).await.unwrap();
    engine.create_project(&admin, lab(), "Lab").await.unwrap();
    let provider = ProviderDraft {
        key: ProviderKey::parse("scripted").unwrap(),
        kind: ProviderKind::OpenAiCompatible,
        base_url: Some(models.openai_url()),
        api_key: None,
        max_concurrent: None,
        requests_per_minute: None,
    };
    engine.create_provider(&admin, provider).await.unwrap();
    let role = RoleDraft {
        key: RoleKey::parse("general_worker").unwrap(),
        name: "General worker".to_owned(),
        base_prompt: "You work.".to_owned(),
        model: ModelName::parse("scripted/scripted").unwrap(),
        temperature: None,
        max_tokens: None,
        tools: Vec::new(),
    };
    engine.create_role(&admin, &lab(), role).await.unwrap();
    for source in templates {
        engine.create_template(&admin, &lab(), source, Format::Yaml).await.unwrap();
    }
    engine.shutdown().await;
    let made = Command::new(env!("CARGO_BIN_EXE_troupe"))
        .args(["token", "create", "--user", "admin@example.org", "--name", "test"])
        .env("TROUPE_DATA", data)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    (admin, String::from_utf8(made.stdout).unwrap().trim().to_owned())
}
