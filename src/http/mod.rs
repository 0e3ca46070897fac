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
//! ```

mod access;
mod answers;
mod base_path;
mod client;
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
mod routes;
#[cfg(test)]
mod tests;
mod v1;
mod views;
mod wire;

use std::{net::SocketAddr, sync::Arc};

use actix_web::{
    App, HttpServer,
    dev::Server,
    http::Method,
    middleware::from_fn,
    web::{self, PathConfig, ServiceConfig},
};

use self::{
    access::Needs,
    connections::Connections,
    front::Front,
    metrics::Requests,
    routes::{Resource, Routes},
};
pub use self::{
    access::{Access, AccessSettings},
    base_path::BasePath,
    client::ClientViews,
    degraded::{Cause, Degraded, Kind},
    views::{About, ClientTold, Form, RedisView, Views},
};
use crate::tokens::Scope;

/// Largest body of `POST /delay`: an id and a number, with room for what is ignored.
const DELAY_BYTES_MAX: usize = 16 * 1024;
/// Largest body of `POST /api/v1/control`: 10,000 slots of about 300 bytes.
const CONTROL_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Two threads serve a database's control plane.
const THREADS: usize = 2;

/// A server on `listen`, not yet running, and the address that it has got: port 0 is a free one.
///
/// # Errors
/// The address cannot be listened on.
pub fn server(listen: &str, views: Views) -> anyhow::Result<(Server, SocketAddr)> {
    let front = front(&views.access);
    let frames = v1::Frames::start(&views);
    let mut numbers = metrics::registry();
    numbers.register_collector(Box::new(metrics::ServerNumbers {
        views: views.clone(),
        frames: frames.clone(),
    }));
    numbers.register_collector(Box::new(metrics::Actors(views.actors.clone())));
    numbers.register_collector(Box::new(metrics::Outputs));
    numbers.register_collector(Box::new(front.requests.clone()));
    let numbers = web::Data::new(numbers);
    let server = HttpServer::new(move || {
        let front = Arc::new(front.for_thread());
        App::new()
            .app_data(web::Data::new(views.clone()))
            .app_data(web::Data::new(frames.clone()))
            .app_data(web::Data::new(wire::Rendered::default()))
            .app_data(web::Data::new(Arc::clone(&front.access)))
            .app_data(numbers.clone())
            .configure(errors)
            .wrap(from_fn(move |request, next| Arc::clone(&front).pass(request, next)))
            .configure(|config| {
                server_routes(config);
            })
            .default_service(routes::nothing_here())
    });
    let connections = Connections::of_this_process();
    // Signals are the program's.
    let server = server
        .workers(THREADS)
        .max_connections(connections.most_of_a_thread(THREADS))
        .on_connect(connections.on_connect())
        .disable_signals()
        .shutdown_timeout(5)
        .bind(listen)?;
    let address = server.addrs()[0];
    Ok((server.run(), address))
}

/// As [`server`], for a client of its own.
///
/// # Errors
/// As there.
pub fn client(listen: &str, views: ClientViews) -> anyhow::Result<(Server, SocketAddr)> {
    let front = front(&views.access);
    let mut numbers = metrics::registry();
    numbers.register_collector(Box::new(metrics::ClientNumbers(views.clone())));
    numbers.register_collector(Box::new(metrics::Actors(views.actors.clone())));
    numbers.register_collector(Box::new(metrics::Outputs));
    numbers.register_collector(Box::new(front.requests.clone()));
    let numbers = web::Data::new(numbers);
    let server = HttpServer::new(move || {
        let front = Arc::new(front.for_thread());
        App::new()
            .app_data(web::Data::new(views.clone()))
            .app_data(web::Data::new(Arc::clone(&front.access)))
            .app_data(numbers.clone())
            .configure(errors)
            .wrap(from_fn(move |request, next| Arc::clone(&front).pass(request, next)))
            .configure(|config| {
                client_routes(config);
            })
            .default_service(routes::nothing_here())
    });
    let connections = Connections::of_this_process();
    let server = server
        .workers(1)
        .max_connections(connections.most_of_a_thread(1))
        .on_connect(connections.on_connect())
        .disable_signals()
        .shutdown_timeout(5)
        .bind(listen)?;
    let address = server.addrs()[0];
    Ok((server.run(), address))
}

fn front(access: &Arc<Access>) -> Front {
    access.watch();
    Front { access: Arc::clone(access), requests: Requests::default() }
}

/// A path that cannot be read is a problem, too.
fn errors(config: &mut ServiceConfig) {
    config.app_data(PathConfig::default().error_handler(|_, request| fields::path_problem(request).into()));
}

/// What a server answers.
fn server_routes(config: &mut ServiceConfig) -> Routes<'_> {
    let mut routes = Routes::new(config);
    // What is asked for all the time is looked for first.
    routes
        .add(Resource::at("/queued").get(Needs::Wire(Scope::Read), wire::queued))
        .add(Resource::at("/resources").get(Needs::Wire(Scope::Read), wire::resources))
        .add(Resource::at("/delay").post(Needs::Wire(Scope::Control), DELAY_BYTES_MAX, wire::delay))
        .add(Resource::at("/api/v1/control").post(Needs::CONTROL, CONTROL_BYTES_MAX, control::control))
        .add(Resource::at("/api/v1/session").get(Needs::READ, access::session))
        .add(Resource::at("/readyz").get(Needs::Nothing, health::readyz))
        .add(Resource::at("/login").on(&page::READS, Needs::Nothing, None, page::index_route()).post(
            Needs::Nothing,
            access::LOGIN_BYTES_MAX,
            access::login,
        ))
        .add(Resource::at("/logout").on(&[Method::POST], Needs::Nothing, None, web::to(access::logout)));
    page::add(&mut routes);
    v1::add(&mut routes);
    common_routes(&mut routes);
    routes
}

/// What a client of its own answers.
fn client_routes(config: &mut ServiceConfig) -> Routes<'_> {
    let mut routes = Routes::new(config);
    routes.add(Resource::at("/readyz").get(Needs::Nothing, client::readyz));
    common_routes(&mut routes);
    routes
}

/// What server and client answer alike.
fn common_routes(routes: &mut Routes<'_>) {
    routes
        .add(Resource::at("/healthz").get(Needs::Nothing, health::healthz))
        .add(Resource::at("/metrics").get(Needs::READ, metrics::serve));
}
