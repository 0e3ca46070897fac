//! What evenkeel does.

pub mod fault;
pub mod journal;
