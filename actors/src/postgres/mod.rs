//! A real PostgreSQL: the front that its clients connect to, and what evenkeel asks it itself.
//!
//! ```text
//! client ─▶ front ─▶ PostgreSQL           a session: one client, one server connection
//!             │ ▲
//!             │ └─ released ─ Database (desk) ◀─ Daemon
//!             ├─ held ─▶ Workload (desk) ─▶ Daemon ─▶ Queue
//!             ├─ told ─▶ pacing ─▶ Admit: what may leave now
//!             └─ Admit ─▶ Queue ─▶ durable ─▶ may be sent
//! ```

pub mod desk;
pub mod front;
pub mod own;
pub mod pacing;
pub mod probe;
pub mod recorder;
pub mod scram;
mod sockets;
pub mod sql;
pub mod upstream;
