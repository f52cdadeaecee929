//! The command line, as a process.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;

fn troupe(data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_troupe"));
    for name in ["TROUPE_LISTEN", "PORT", "DATABASE_URL", "TROUPE_SITE", "RUST_LOG"] {
        command.env_remove(name);
    }
    command.env("TROUPE_DATA", data).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn output(command: &mut Command) -> (bool, String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.success(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

/// A server that is killed at the end of the test.
struct Served {
    child: Child,
    url: String,
    lines: BufReader<std::process::ChildStdout>,
}

impl Served {
    fn start(command: &mut Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let url = loop {
            let mut line = String::new();
            if lines.read_line(&mut line).unwrap() == 0 {
                let mut said = String::new();
                child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
                panic!("it did not start: {said}");
            }
            if let Some((_, url)) = line.trim().split_once("ready at ") {
                break url.to_owned();
            }
        };
        Self { child, url, lines }
    }

    fn first_run_link(&mut self) -> String {
        let mut line = String::new();
        while !line.contains("/first-run?token=") {
            line.clear();
            assert_ne!(self.lines.read_line(&mut line).unwrap(), 0, "it prints the link");
        }
        line.trim().to_owned()
    }

    fn get(&self, path: &str, token: &str) -> String {
        let host = self.url.strip_prefix("http://").unwrap();
        let mut connection = TcpStream::connect(host).unwrap();
        write!(connection, "GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n")
            .unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        answer
    }

    fn terminate(mut self) -> bool {
        let told = Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        assert!(told.success());
        self.child.wait().unwrap().success()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn add_user(data: &Path, email: &str, password: &str) -> (bool, String, String) {
    let mut command = troupe(data);
    command.args(["user", "add", email, "--admin", "--password-stdin"]).stdin(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(format!("{password}\n").as_bytes()).unwrap();
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    (status.success(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

#[test]
fn a_server_serves_while_users_and_tokens_are_made_beside_it_and_ends_when_told() {
    let data = TempDir::new().unwrap();
    let mut served = Served::start(troupe(data.path()).args(["serve", "--listen", "127.0.0.1:0"]));
    assert!(served.get("/health", "").contains("200 OK"));
    assert!(served.first_run_link().starts_with(&served.url));
    let (second, _, said) = output(troupe(data.path()).args(["serve", "--listen", "127.0.0.1:0"]));
    let which = format!("in use by another Troupe server (process {})", served.child.id());
    assert!(!second && said.contains(&which), "{said}");

    let (ok, said, error) = add_user(data.path(), "ada@example.org", "a long enough password");
    assert!(ok && said.contains("ada@example.org"), "{said} {error}");
    let (ok, token, error) =
        output(troupe(data.path()).args(["token", "create", "--user", "ada@example.org", "--name", "ci"]));
    assert!(ok, "{error}");
    assert_eq!(token.lines().count(), 1, "the token alone: {token:?}");
    let answer = served.get("/api/v1/projects", token.trim());
    assert!(answer.contains("200 OK") && answer.contains("\"demo\""), "{answer}");

    let began = Instant::now();
    assert!(served.terminate(), "it ends well");
    assert!(began.elapsed() < Duration::from_secs(10));
    let again = Served::start(troupe(data.path()).args(["serve", "--listen", "127.0.0.1:0"]));
    assert!(again.get("/api/v1/projects", token.trim()).contains("200 OK"), "what was made is still there");
}

#[test]
fn a_port_that_is_taken_is_an_error_when_it_was_asked_for() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let data = TempDir::new().unwrap();
    let (ok, _, said) = output(troupe(data.path()).arg("serve").env("PORT", &port).env("RUST_LOG", "error"));
    assert!(!ok && said.contains(&port) && said.contains("in use"), "{said}");
    assert_eq!(said.lines().count(), 1, "one line, no trace: {said}");
}

/// D8: settings come from `.env` in the data folder; the environment takes precedence.
#[test]
fn the_data_folder_s_env_file_is_read() {
    let data = TempDir::new().unwrap();
    let env = data.path().join(".env");
    std::fs::write(&env, "TROUPE_LISTEN=127.0.0.1:0\nDATABASE_URL=postgres://somewhere/troupe\n").unwrap();
    let (ok, _, said) = output(troupe(data.path()).arg("serve"));
    assert!(!ok && said.contains("not supported yet"), "{said}");
    let served = Served::start(troupe(data.path()).arg("serve").env("DATABASE_URL", ""));
    assert!(!served.url.ends_with(":3000"), "{}", served.url);
    std::fs::write(&env, "this is no setting and may be a key\n").unwrap();
    let (ok, _, said) =
        output(troupe(data.path()).args(["token", "create", "--user", "a@b.c", "--name", "x"]));
    assert!(!ok && said.contains(".env") && !said.contains("may be a key"), "{said}");
}

#[test]
fn what_cannot_be_done_is_said_in_words() {
    let data = TempDir::new().unwrap();
    let (ok, _, said) = add_user(data.path(), "no-address", "a long enough password");
    assert!(!ok && !said.is_empty(), "{said}");
    let (ok, _, said) = add_user(data.path(), "ada@example.org", "short");
    assert!(!ok && said.contains("10"), "{said}");
    let (ok, token, said) =
        output(troupe(data.path()).args(["token", "create", "--user", "nobody@example.org", "--name", "x"]));
    assert!(!ok && token.is_empty() && said.contains("nobody@example.org"), "{token} {said}");
}
