//! What everything is counted in: ticks, windows of ticks, resources, and the names of executions and queries.

pub mod ids;
pub mod lengths;
pub mod resource;
pub mod span;
pub mod tick;
pub mod window;
