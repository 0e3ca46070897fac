//! What actors ask of the outside, free of whoever answers: no file, no database and no wire is named here.

pub mod database;
pub mod history;
pub mod lease;
pub mod ledger;
pub mod minutes;
pub mod over;
pub mod sink;
pub mod source;
pub mod state_store;
