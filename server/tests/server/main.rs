//! Tests of the server from outside: on its own port within the test, or as a separate process, with its own data
//! folder and a scripted model server. A single binary, because each further one would be linked separately.

mod bodies;
mod browser;
mod cli;
mod comparisons;
mod costs;
mod crash;
mod faults;
mod floods;
mod journey;
mod kinds;
mod process;
mod refusals;
mod search;
mod sign_in;
mod stage;
mod strangers;
mod streams;
mod waits;
