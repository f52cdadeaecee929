//! Tests of the domain's public interface. A single binary, because each further one would be linked separately.

mod fold;
mod old_logs;
mod planning;
mod simulation;
mod words;
mod world;
