//! The server from outside: a real one on a port of its own, with its own data folder and a scripted model server.

mod browser;
mod comparisons;
mod journey;
mod kinds;
mod refusals;
mod search;
mod sign_in;
mod stage;
mod strangers;
