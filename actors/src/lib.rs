//! What evenkeel does: seven actix actors that exchange typed messages, each under a guard.
//!
//! ```text
//! server   Daemon ─Measure──▶ Monitor                     one arbiter for the daemon's ticker,
//!            │ ◀──Measured──┘                             one for the server's other actors,
//!            ├──Advance───▶ Queue ─Append─▶ Journal       a thread for the outbox's commits
//!            │ ◀─what runs──┘ ▲                └─▶ outbox (SQLite) ─▶ Shipper ─▶ Redis Streams
//!            └─▶ Database     │ Control    Observer ◀┤ entries (for people)        │ entries
//!                             │                        │ (in one process)            │ (in processes of their own)
//!                             │ or, over HTTP,         ▼                             │
//! client                  Scheduler ◀─Learned─ Estimator ◀─Batch─ Consumer ◀─────────┘      one arbiter
//!                                                                   └─▶ state: a file, or Redis
//! ```
//!
//! A tick is durable before it has an effect. Whoever loses its state (a panic, a commit that failed)
//! answers `Lost` until it is restored: the daemon restores the server's half from the outbox, the
//! consumer the client's half from its state and the entries after it. Start, restart, recovery and taking
//! over from another client are the same path.

pub mod address;
pub mod clock;
pub mod databases;
pub mod leveller;
pub mod messages;
pub mod ports;
pub mod postgres;
pub mod remote;
pub mod reread;
pub mod server;
#[cfg(test)]
mod simulation;
pub mod stores;
pub mod supervise;
