//! Databases that evenkeel can be in front of.

pub mod simulated;
