//! The client's half: reads the journal, learns what queries cost, and places slots.

pub mod acceptance;
pub mod consumer;
pub mod estimator;
pub mod scheduler;
