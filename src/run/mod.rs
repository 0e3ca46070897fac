//! The three long-running commands: `run` has both halves in one process, `server` and `client` one each.
//!
//! Each is a `process::Process` with a list of work; one file a role says which.
//!
//! ```text
//! role      work, in this order                                               HTTP
//! embedded  ServerHalf, ClientHalf over its outbox, a line a second           ServerSlice
//! server    ServerHalf with a Shipper to Redis, a line a second               ServerSlice, what the client told included
//! client    Redis ─▶ ClientHalf ─▶ RemoteQueue ─▶ server, a line a second     ClientSlice
//! poll      server ◀─ ForeignServer ─▶ ClientHalf, a line a second            ClientSlice
//! ```

mod backend;
mod client;
mod client_half;
mod clock;
mod degraded;
mod embedded;
mod front;
mod front_causes;
mod limits;
mod line;
mod over;
mod poll;
mod process;
mod server;
mod server_half;
mod settings;
mod starter;
mod told;

pub use self::{
    backend::{Backend, PostgresSettings, ProbeAt, SimulatedSettings},
    client::run as client,
    embedded::run as embedded,
    poll::run as poll,
    server::run as server,
    settings::{ClientSettings, Common, EmbeddedSettings, Levelling, PollSettings, ServerSettings, Serving},
};
