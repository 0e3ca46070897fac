//! The HTTP API. Reads answer from published snapshots, not from mailboxes; changes go to the queue.
//!
//! ```text
//! request ─▶ Front: room, access, deadline ──┬─ GET  /queued /resources      ◀─ watch ─ Queue, Monitor    as existing
//!                                            ├─ POST /delay                  ──────────▶ Queue            peers speak it
//!                                            ├─ POST /api/v1/control         ──────────▶ Queue
//!                                            ├─ /api/v1/…  events            ◀─ watch ─ Observer, client, outbox
//!                                            ├─ /metrics /healthz /readyz    ◀─ health, pace
//!                                            ├─ / /login /assets/…           the dashboard, embedded
//!                                            └─ /login /logout               tokens, sessions
//!   access  whether a request is plain, from where, by whom; each route says what it needs (routes)
//!   slice   what registers routes, metrics and readiness in one place: server, client, clients of a real database; process has what all have
//! ```

mod access;
mod answers;
mod base_path;
mod client;
mod clients;
mod connections;
mod control;
mod degraded;
mod fields;
mod front;
mod health;
mod integers;
mod metrics;
mod page;
mod problem;
mod process;
mod routes;
mod server;
mod slice;
#[cfg(test)]
mod tests;
mod v1;
mod views;
mod wire;

use std::{net::SocketAddr, sync::Arc};

use actix_web::{
    App, HttpServer,
    dev::Server,
    middleware::from_fn,
    web::{self, PathConfig, ServiceConfig},
};
use evenkeel_actors::supervise::health::Roster;

pub use self::{
    access::{Access, AccessSettings},
    base_path::BasePath,
    client::ClientViews,
    clients::ClientsViews,
    degraded::{Cause, Degraded, Kind},
    views::{About, ClientTold, Form, RedisView, Views},
};
pub(crate) use self::{client::ClientSlice, clients::ClientsSlice, server::ServerSlice, slice::Slice};
use self::{
    connections::Connections, front::Front, metrics::Requests, process::Process, routes::Routes,
    slice::Slices,
};

/// Largest body of `POST /delay`: an id and a number, with room for what is ignored.
const DELAY_BYTES_MAX: usize = 16 * 1024;
/// Largest body of `POST /api/v1/control`: 10,000 slots of about 300 bytes.
const CONTROL_BYTES_MAX: usize = 4 * 1024 * 1024;
/// A server of `slices` on `listen`, not yet running, and the address that it has got: port 0 is a free one.
///
/// # Errors
/// The address cannot be listened on.
pub(crate) fn serve(
    listen: &str,
    access: &Arc<Access>,
    actors: Roster,
    slices: Vec<Arc<dyn Slice>>,
) -> anyhow::Result<(Server, SocketAddr)> {
    access.watch();
    let front = Front { access: Arc::clone(access), requests: Requests::default() };
    let process = Process::new(Slices::new(slices), actors, front.requests.clone());
    let threads = process.threads();
    let server = HttpServer::new(move || {
        let front = Arc::new(front.for_thread());
        App::new()
            .app_data(web::Data::new(Arc::clone(&front.access)))
            .configure(errors)
            .wrap(from_fn(move |request, next| Arc::clone(&front).pass(request, next)))
            .configure(|config| process.routes(&mut Routes::new(config)))
            .default_service(routes::nothing_here())
    });
    let connections = Connections::of_this_process();
    // Signals are the program's.
    let server = server
        .workers(threads)
        .max_connections(connections.most_of_a_thread(threads))
        .on_connect(connections.on_connect())
        .disable_signals()
        .shutdown_timeout(5)
        .bind(listen)?;
    let address = server.addrs()[0];
    Ok((server.run(), address))
}

/// A path that cannot be read is a problem, too.
fn errors(config: &mut ServiceConfig) {
    config.app_data(PathConfig::default().error_handler(|_, request| fields::path_problem(request).into()));
}
