//! The server's half: leads the ticks, decides what runs, makes it durable, tells those who watch.

pub mod daemon;
pub mod journal;
pub mod monitor;
pub mod observer;
pub mod queue;
pub mod shipper;
