//! The binary `troupe`.

fn main() -> std::process::ExitCode {
    server::cli::main()
}
