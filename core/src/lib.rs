//! What evenkeel decides. Pure state machines and maths: no clock, no IO, no async, no actor, no logging.
//! Time and randomness are arguments, so everything here can be replayed from its inputs.
//!
//! ```text
//!            world ──arrivals──▶ server ──due──▶ world ──usage──▶ units::window
//!          (simulated database)    ▲ │                                 │
//!                                  │ └──── journal::Commit ◀───────────┘
//!                                  │          │ records: executions, queue, windows
//!                 server::control  │          ▼
//!                            scheduler ◀──── estimator
//!                             (slots)      (learned costs)
//!
//!   leveller    the client's durable state: how far it has read, and what it made of that
//!   insight     what people are told, by the client (forecast, benefit, shadow) and by the server (recap)
//!   circle      queue, steps and scheduler together, without a clock
//!   simulate    runs that circle on the simulated database, with the same parts as live
//!   foreign     a server that is watched from outside, turned into what its journal would say
//!   postgres    a real PostgreSQL: its protocol, what of it is recorded, what may be held
//!   invariants  what must hold of a journal, written once, checked everywhere
//!   units       ticks, windows, resources, names: what everything is counted in
//!   chance      the one generator of random numbers that is ours
//! ```
//!
//! `world` is the simulator's secret: nothing under `estimator` or `scheduler` names it.

pub mod chance;
pub mod circle;
pub mod estimator;
pub mod foreign;
pub mod insight;
pub mod invariants;
pub mod journal;
pub mod leveller;
#[cfg(feature = "mutants")]
pub mod mutant;
pub mod postgres;
pub mod scheduler;
pub mod server;
pub mod simulate;
pub mod text;
pub mod units;
pub mod world;
