//! The binary `troupe`.

/// Many small pieces are made and freed on one thread and another: the system's allocator took a tenth of a run's time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    server::cli::main()
}
