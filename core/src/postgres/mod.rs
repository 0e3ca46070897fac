//! A real PostgreSQL: what clients send it, what of that is recorded, and what may be held.
//!
//! Pure: bytes and texts in, decisions out. Who relays bytes, parses texts and asks the database is in the actors' crate.
//!
//! ```text
//! client's bytes ─▶ session ─▶ bytes for the server     the same ones, in the same order, each when it may leave
//! client's bytes ◀─ session ◀─ server's bytes           the same ones, at once
//!                     │
//!                     └─▶ events: to be recorded, to be held, given up, finished
//! ```

pub mod classes;
pub mod frames;
pub mod lexed;
pub mod lexer;
pub mod normal;
pub mod reads;
pub mod replies;
pub mod session;
pub mod startup;
pub mod statements;
pub mod tags;
pub mod understood;
