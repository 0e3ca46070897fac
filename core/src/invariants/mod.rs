//! What must hold of a journal, written once: the audit behind `evenkeel journal verify`, the kill
//! tests and the simulations.
//!
//! ```text
//! executions ┐                       ┌ seq dense, ids and ticks in order
//! queue      ├ merge by tick ▶ Audit ┤ queued once ─▶ executed at most once, as the queue said
//! windows    ┘                       └ windows without holes, counting what ran in them
//!            what the database really ran ▶ Truth ─▶ ran exactly what is journalled
//! ```

mod audit;
mod extents;
mod finding;
mod merge;
mod running;
mod sent;
mod statements;
mod tagged;
#[cfg(test)]
mod tests;
mod truth;

pub use self::{
    audit::{Audit, Report},
    finding::{FINDINGS_MAX, Finding, Findings},
    merge::Merge,
    tagged::{Ends, TagFinding, Tagged},
    truth::{ParseTruthRowError, Truth, TruthRow},
};
