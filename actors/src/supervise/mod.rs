//! What stands between an actor and its end: the guard that restarts it, its health, the way to it, planned faults.

pub mod fault;
pub mod guard;
pub mod health;
pub mod port;
