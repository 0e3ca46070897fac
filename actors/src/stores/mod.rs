//! Where things are durable: a SQLite file that every server has, Redis between processes, files of the embedded client.

pub mod file;
pub mod outbox;
pub mod redis;
