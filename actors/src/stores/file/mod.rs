//! What is kept in files of the data directory beside the outbox: the embedded client's state in two generations, and the
//! page's minutes.

pub mod minutes;
pub mod snapshot;
pub mod state;
