//! The journal's durable side: the outbox is the truth, the snapshot is the client's state.

pub mod outbox;
pub mod snapshot;
