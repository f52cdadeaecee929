//! The command line: its commands and arguments, and the output of errors.

use crate::{serve, settings, telemetry};
use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand};
use engine::Engine;
use secrecy::{ExposeSecret, SecretString};
use std::{io::Read, path::PathBuf, process::ExitCode};

/// Runs LLM workflow templates with AI roles chosen at launch.
#[derive(Parser, Debug)]
#[command(name = "troupe", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Start the server
    Serve(Serve),
    /// Manage people
    #[command(subcommand)]
    User(User),
    /// Manage API tokens
    #[command(subcommand)]
    Token(Token),
}

#[derive(Args, Debug)]
struct Data {
    /// The folder that holds everything: the database, its key, and an optional `.env`
    #[arg(long = "data", env = "TROUPE_DATA", default_value = "./data", value_name = "FOLDER")]
    folder: PathBuf,
}

#[derive(Args, Debug)]
struct Serve {
    #[command(flatten)]
    data: Data,
    /// Where to listen [default: 127.0.0.1:3000, or the next free port]
    #[arg(long, env = "TROUPE_LISTEN", value_name = "HOST:PORT")]
    listen: Option<String>,
    /// The port to listen on, when --listen is not given
    #[arg(long, env = "PORT")]
    port: Option<u16>,
    /// The folder of the built site [default: beside the executable, else target/site]
    #[arg(long, env = "TROUPE_SITE", value_name = "FOLDER")]
    site: Option<PathBuf>,
    /// Show every part of the pages in every state at /gallery, for those who work on Troupe
    #[arg(long, env = "TROUPE_GALLERY", value_parser = clap::builder::FalseyValueParser::new())]
    gallery: bool,
}

#[derive(Subcommand, Debug)]
enum User {
    /// Create a user; the password is read from standard input
    Add {
        email: String,
        /// May manage providers, projects and people
        #[arg(long)]
        admin: bool,
        /// Display name [default: the part of the e-mail before the @]
        #[arg(long)]
        name: Option<String>,
        /// Read the password from standard input
        #[arg(long, required = true)]
        password_stdin: bool,
        #[command(flatten)]
        data: Data,
    },
}

#[derive(Subcommand, Debug)]
enum Token {
    /// Create an API token and print it; it cannot be shown again
    Create {
        /// E-mail of the user who owns the token
        #[arg(long = "user", value_name = "EMAIL")]
        user: String,
        /// A name for the token
        #[arg(long)]
        name: String,
        #[command(flatten)]
        data: Data,
    },
}

impl Command {
    fn data(&self) -> &Data {
        match self {
            Self::Serve(serve) => &serve.data,
            Self::User(User::Add { data, .. }) | Self::Token(Token::Create { data, .. }) => data,
        }
    }
}

/// Runs the command. An error is printed as one line on standard error, with exit code 1.
pub fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("troupe: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    // Arguments are parsed twice: they name the data folder, whose `.env` may set defaults of other arguments. No
    // thread runs yet, so changing the environment is safe.
    let folder = Cli::parse().command.data().folder.clone();
    settings::load_env_file(&folder)?;
    let command = Cli::parse().command;
    settings::check_database_url()?;
    let runtime = tokio::runtime::Runtime::new().context("the runtime could not be started")?;
    runtime.block_on(async {
        match command {
            Command::Serve(serve) => {
                telemetry::start("info");
                serve_from(serve).await
            }
            Command::User(User::Add { email, admin, name, data, .. }) => {
                telemetry::start("warn");
                add_user(&data, &email, admin, name).await
            }
            Command::Token(Token::Create { user, name, data }) => {
                telemetry::start("warn");
                create_token(&data, &user, &name).await
            }
        }
    })
}

async fn serve_from(serve: Serve) -> Result<()> {
    let listen = match (serve.listen, serve.port) {
        (Some(address), _) => settings::Listen::At(address),
        (None, Some(port)) => settings::Listen::At(format!("127.0.0.1:{port}")),
        (None, None) => settings::Listen::Default,
    };
    serve::serve(settings::Settings {
        engine: settings::engine_config(serve.data.folder, true),
        listen,
        site: settings::site_folder(serve.site),
        gallery: serve.gallery,
    })
    .await
}

async fn add_user(data: &Data, email: &str, admin: bool, name: Option<String>) -> Result<()> {
    let password = read_password()?;
    let name = name.unwrap_or_else(|| email.split('@').next().unwrap_or(email).to_owned());
    let engine = Engine::open(settings::engine_config(data.folder.clone(), false)).await?;
    let made = engine.create_user(email, &name, password, admin).await;
    engine.shutdown().await;
    let user = made?;
    println!("Added {}{}.", user.email, if user.admin { ", an administrator" } else { "" });
    Ok(())
}

async fn create_token(data: &Data, email: &str, name: &str) -> Result<()> {
    let engine = Engine::open(settings::engine_config(data.folder.clone(), false)).await?;
    let made = engine.create_api_token(email, name).await;
    engine.shutdown().await;
    println!("{}", made?.expose_secret());
    Ok(())
}

/// The first line of standard input.
fn read_password() -> Result<SecretString> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).context("the password could not be read")?;
    let password = text.lines().next().unwrap_or_default();
    if password.is_empty() {
        bail!("give the password on standard input");
    }
    Ok(password.to_owned().into())
}
