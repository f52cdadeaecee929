//! The binary `troupe`.

/// A run makes many small allocations on one thread and frees them on another. The system's allocator takes a tenth of
/// the processor time for them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    server::cli::main()
}
