//! The stores that clients read, and keep their state in: one contract for both, and what Redis alone must keep.

mod contract;
mod earlier;
mod formats;
mod reading;
mod shipping;
mod trimming;
mod world;
