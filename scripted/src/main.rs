//! The scripted model server as a process of its own, for browser tests and the benchmark.

use std::io::Write;

use clap::Parser;

/// A model server that says what a script tells it to. Scripted over PUT /script; see the crate's documentation.
#[derive(Parser)]
struct Arguments {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: String,
    /// A file with the script to begin with, as PUT /script takes it.
    #[arg(long)]
    script: Option<std::path::PathBuf>,
}

// One thread: its work per request is small, and the benchmark shall have the other cores.
#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let server = scripted::Server::bind(&arguments.listen).await?;
    if let Some(path) = arguments.script {
        server.script_document(&std::fs::read(path)?)?;
    }
    // Those who start it read the address from here, so it must not stay in a buffer.
    let mut out = std::io::stdout();
    writeln!(out, "listening on {}", server.url())?;
    out.flush()?;
    server.run().await;
    Ok(())
}
