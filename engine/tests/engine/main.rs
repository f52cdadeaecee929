//! Tests of the engine's public interface: its commands and queries, its runs against a scripted model server, its
//! store. One binary, because each further one would be linked separately with all dependencies.

mod accounts;
mod comparisons;
mod conversations;
mod dashboard;
mod faults;
mod finish_words;
mod inbox;
mod kinds;
mod local_model;
mod models;
mod outputs;
mod permissions;
mod prices;
mod projects;
mod providers;
mod recorded;
mod roles;
mod runs;
mod search;
mod servers;
mod shipped;
mod staff;
mod stage;
mod templates;
mod threads;
