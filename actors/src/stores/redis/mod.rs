//! The journal in Redis Streams: the copy that is handed out. The outbox stays the truth.
//!
//! ```text
//! outbox ─▶ Shipment ─MULTI: XADD… HSET meta tick, EXEC─▶ executions, queue, windows ─▶ RedisSource ─▶ Consumer
//!              ▲ cursor: last-generated-id                    group `scheduler`            │
//!              └ lower: republish   missing: rebuild          dead ◀── undecodable ────────┤
//!                higher, other: stop and alarm                lease, snapshot ◀─▶ RedisStateStore
//!                                      client, estimates ◀── ReportWriter ─▶ ReportReader (for people)
//!                                      evenkeel journal --redis ◀── RedisReader (reads only)
//! ```
//!
//! All calls block, each with a deadline of its own, on connections of their own; they belong on threads
//! that may block. What a call's lost answer would have said is asked of Redis after the reconnect.

mod adopt;
mod ahead;
pub(crate) mod backlog;
mod claim;
mod fields;
mod history;
mod keys;
mod lease;
pub(crate) mod link;
mod reader;
mod report;
pub(crate) mod scripts;
mod shipment;
mod shipping;
mod sink;
pub(crate) mod source;
mod state;
mod target;
mod texts;
mod verify;
pub(crate) mod wire;

pub use self::{
    adopt::{AdoptError, Adopted, adopt},
    keys::{Keys, NameError},
    link::{Link, RedisFault},
    reader::{RedisMeta, RedisReader, StreamState},
    report::{GroupState, ReportReader, ReportWriter, Told},
    shipment::Shipment,
    shipping::{Lost, ShipmentSettings, ShippingFault},
    source::RedisSource,
    state::RedisStateStore,
    target::{Target, TargetError},
};

/// The group of the client that levels. Others may be added; trimming waits for all of them.
pub const GROUP: &str = "scheduler";
/// The consumer within it: always the same name, so that whoever levels finds what was pending.
pub const CONSUMER: &str = "scheduler";
/// Version of the keys and their fields, in `meta`.
pub const FORMAT_VERSION: u64 = evenkeel_core::journal::FORMAT;
