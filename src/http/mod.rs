//! The HTTP API. Reads answer from published snapshots, not from mailboxes; changes go to the queue.
//!
//! ```text
//! GET  /queued /resources        ◀─ watch ─ Queue, Monitor      as existing servers and clients speak it
//! POST /delay /api/v1/control    ──────────▶ Queue              answered once decided, or durable
//! GET  /healthz /readyz          ◀─ health, pace
//! GET  / /login /assets/…        ◀─ files            the dashboard, embedded
//! ```

mod client;
mod control;
mod guarded;
mod health;
mod page;
mod problem;
mod wire;

use std::net::SocketAddr;

use actix::Recipient;
use actix_web::{
    App, HttpServer,
    dev::Server,
    http::Method,
    middleware::from_fn,
    web::{self, PayloadConfig, ServiceConfig},
};
use evenkeel_actors::{
    daemon::Pace,
    health::ActorHealth,
    messages::{Control, Delay},
    monitor::LastWindow,
    queue::QueueView,
};
use tokio::sync::watch;

use self::problem::{Problem, method_not_allowed};
pub use self::{client::ClientViews, health::Degraded};

/// Largest body of `POST /delay`: an id and a number, with room for what is ignored.
const DELAY_BYTES_MAX: usize = 16 * 1024;
/// Largest body of `POST /api/v1/control`: 10,000 slots of about 300 bytes.
const CONTROL_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What the handlers answer from, and whom they ask.
#[derive(Clone)]
pub struct Views {
    /// The queue, as last published.
    pub queue: watch::Receiver<QueueView>,
    /// The last window.
    pub window: watch::Receiver<LastWindow>,
    /// The daemon's pace.
    pub pace: watch::Receiver<Pace>,
    /// All actors.
    pub actors: Vec<ActorHealth>,
    /// Whether the process is about to end.
    pub draining: watch::Receiver<bool>,
    /// What works less well than it should, and does not make the server unready.
    pub degraded: watch::Receiver<Degraded>,
    /// When the server started, Unix ms.
    pub started_ms: u64,
    /// Adds delays.
    pub delay: Recipient<Delay>,
    /// Takes slots.
    pub control: Recipient<Control>,
}

/// A server on `listen`, not yet running, and the address that it has got: port 0 is a free one.
///
/// # Errors
/// The address cannot be listened on.
pub fn server(listen: &str, views: Views) -> std::io::Result<(Server, SocketAddr)> {
    let server = HttpServer::new(move || {
        App::new()
            .app_data(web::Data::new(views.clone()))
            .wrap(from_fn(guarded::answer_always))
            .configure(routes)
            .default_service(web::to(|| async { Problem::not_found("there is nothing here") }))
    });
    // Two threads serve a database's control plane; signals are the program's.
    let server = server.workers(2).disable_signals().shutdown_timeout(5).bind(listen)?;
    let address = server.addrs()[0];
    Ok((server.run(), address))
}

/// As [`server`], for a client of its own.
///
/// # Errors
/// The address cannot be listened on.
pub fn client(listen: &str, views: ClientViews) -> std::io::Result<(Server, SocketAddr)> {
    let get = |handler: actix_web::Route, path| {
        web::resource(path).route(handler).default_service(method_not_allowed(&[Method::GET]))
    };
    let server = HttpServer::new(move || {
        App::new()
            .app_data(web::Data::new(views.clone()))
            .wrap(from_fn(guarded::answer_always))
            .service(get(web::get().to(health::healthz), "/healthz"))
            .service(get(web::get().to(client::readyz), "/readyz"))
            .default_service(web::to(|| async { Problem::not_found("there is nothing here") }))
    });
    let server = server.workers(1).disable_signals().shutdown_timeout(5).bind(listen)?;
    let address = server.addrs()[0];
    Ok((server.run(), address))
}

fn routes(config: &mut ServiceConfig) {
    let read = |path, handler: actix_web::Route| {
        web::resource(path).route(handler).default_service(method_not_allowed(&[Method::GET]))
    };
    let write = |path, bytes_max, handler: actix_web::Route| {
        web::resource(path)
            .app_data(PayloadConfig::new(bytes_max))
            .route(handler)
            .default_service(method_not_allowed(&[Method::POST]))
    };
    config
        .configure(page::configure)
        .service(read("/queued", web::get().to(wire::queued)))
        .service(read("/resources", web::get().to(wire::resources)))
        .service(write("/delay", DELAY_BYTES_MAX, web::post().to(wire::delay)))
        .service(write("/api/v1/control", CONTROL_BYTES_MAX, web::post().to(control::control)))
        .service(read("/healthz", web::get().to(health::healthz)))
        .service(read("/readyz", web::get().to(health::readyz)));
}
