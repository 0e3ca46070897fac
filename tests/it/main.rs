//! The system from outside: real processes, real kills. One program, so that it is linked once; each subject is a module.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails the test")]

mod access;
mod alone;
mod answers;
mod api;
mod bad_input;
mod causes;
mod cli;
mod copies;
mod events;
mod failover;
mod frontier;
mod handover;
mod http;
mod lease;
mod minutes;
mod network;
mod openapi;
mod output;
mod own;
mod pair;
mod parameters;
mod postgres;
mod prometheus;
mod restart;
mod revocation;
mod shadow;
mod statements;
mod stores;
#[cfg(feature = "faults")]
mod supervision;
mod support;
mod tidy;
mod tls;
mod upgrade;
