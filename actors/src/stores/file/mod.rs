//! The embedded client's state: two generations of a file in the data directory.

pub mod snapshot;
pub mod state;
