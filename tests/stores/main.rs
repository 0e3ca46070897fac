//! The stores that clients read, and keep their state in: one contract for both, and what Redis alone must keep.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails the test")]

mod contract;
mod earlier;
mod formats;
mod reading;
mod shipping;
#[path = "../support/mod.rs"]
mod support;
mod trimming;
mod world;
