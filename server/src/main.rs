//! The binary `troupe`.

/// A run is many small allocations on one thread and their ends on another: the system's allocator takes a tenth of the
/// processor time for them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    server::cli::main()
}
