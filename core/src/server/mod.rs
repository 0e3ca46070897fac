//! What the server decides: which step of a tick comes next, what runs in it, who may say so.

pub mod control;
pub mod meter;
pub mod pacer;
pub mod queue;
pub mod steps;
