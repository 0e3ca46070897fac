//! Others that are reached over HTTP: the server's queue from a client's process, and servers that are not ours.
//!
//! ```text
//! secret ◀ reach ◀ bearer ◀─┬─ server   Control ─▶ POST /api/v1/control
//!                           └─ foreign  entries ◀─ GET /queued, /resources; Control ─▶ POST /delay
//! ```

mod bearer;
pub mod foreign;
pub mod reach;
pub mod secret;
pub mod server;
