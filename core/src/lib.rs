//! What evenkeel decides. Pure state machines and maths: no clock, no IO, no async, no actor, no logging.
//! Time and randomness are arguments, so everything here can be replayed from its inputs.
//!
//! ```text
//!            world ──arrivals──▶ queue ──due──▶ world ──usage──▶ window
//!          (simulated database)    ▲ │                             │
//!                                  │ └──── journal::Commit ◀───────┘
//!                                  │          │ records: executions, queue, windows
//!                       control::ControlRequest ▼
//!                            scheduler ◀──── estimator
//!                             (slots)      (learned costs)
//!
//!   forecast, benefit ──▶ report    what the client tells people
//!   recap                           what the server remembers for them
//!   simulate    runs that circle in virtual time, with the same parts as live
//!   foreign     a server that is watched from outside, turned into what its journal would say
//!   invariants  what must hold of a journal, written once, checked everywhere
//! ```
//!
//! `world` is the simulator's secret: nothing under `estimator` or `scheduler` names it.

pub mod benefit;
pub mod client;
pub mod control;
pub mod counterfactual;
pub mod estimator;
pub mod forecast;
pub mod foreign;
pub mod ids;
pub mod invariants;
pub mod journal;
pub mod mutant;
pub mod queue;
pub mod recap;
pub mod report;
pub mod resource;
pub mod scheduler;
pub mod simulate;
pub mod steps;
pub mod text;
pub mod tick;
pub mod window;
pub mod world;
