//! The program: command line, configuration, HTTP, wiring, printing. It decides nothing.
//!
//! ```text
//! main ─▶ cli ─┬─ run       ─▶ both halves of the actors in one process ◀─ http   /queued /delay /api/v1 /metrics, the page
//!              ├─ server    ─▶ the server's half, its journal handed out through Redis ◀─ http
//!              ├─ client    ─▶ the client's half: Redis ─▶ slots, over HTTP ─▶ the server
//!              ├─ simulate  ─▶ core: the same decisions in virtual time
//!              ├─ journal   ─▶ the outbox or Redis, read beside a running server
//!              ├─ world     ─▶ core: the simulated database's secrets, for evaluation
//!              ├─ status, mode, explain, healthcheck   ask a running server over HTTP
//!              └─ config, token, completions   what is in force; files for those who ask: tokens' hashes, the shell's completions
//! classes: which statements of a real database may wait
//! config: file < environment < flag          telemetry: text or JSON on stderr; stdout is for data
//! output: whatever is printed, and what becomes of it when nobody reads
//! ```

#![warn(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "they panic at a closed pipe and wait at a full one: see output"
)]

pub mod classes;
pub mod cli;
pub mod config;
#[cfg(test)]
mod documents;
pub mod exit;
pub mod http;
pub mod output;
pub mod run;
pub mod telemetry;
pub mod tokens;
