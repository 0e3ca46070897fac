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
//! ```

mod access;
mod answers;
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
mod v1;
mod views;
mod wire;

use std::{net::SocketAddr, sync::Arc};

use actix_web::{
    App, HttpServer,
    dev::Server,
    http::Method,
    middleware::from_fn,
    web::{self, PathConfig, PayloadConfig, ServiceConfig},
};

use self::{
    access::Access,
    connections::Connections,
    front::Front,
    metrics::Requests,
    problem::{Problem, method_not_allowed},
};
pub use self::{
    access::AccessSettings,
    client::ClientViews,
    degraded::{Cause, Degraded, Kind},
    views::{About, ClientTold, Form, RedisView, Views},
};

/// Largest body of `POST /delay`: an id and a number, with room for what is ignored.
const DELAY_BYTES_MAX: usize = 16 * 1024;
/// Largest body of `POST /api/v1/control`: 10,000 slots of about 300 bytes.
const CONTROL_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Two threads serve a database's control plane.
const THREADS: usize = 2;

/// A server on `listen`, not yet running, and the address that it has got: port 0 is a free one.
///
/// # Errors
/// The address cannot be listened on, or the tokens cannot be read.
pub fn server(listen: &str, access: AccessSettings, views: Views) -> anyhow::Result<(Server, SocketAddr)> {
    let front = front(access)?;
    let frames = v1::Frames::start(&views);
    let mut numbers = metrics::registry();
    numbers.register_collector(Box::new(metrics::ServerNumbers {
        views: views.clone(),
        frames: frames.clone(),
    }));
    numbers.register_collector(Box::new(metrics::Actors(views.actors.clone())));
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
            .configure(routes)
            .configure(v1::routes)
            .configure(common_routes)
            .default_service(web::to(|| async { Problem::not_found("there is nothing here") }))
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
pub fn client(
    listen: &str,
    access: AccessSettings,
    views: ClientViews,
) -> anyhow::Result<(Server, SocketAddr)> {
    let front = front(access)?;
    let mut numbers = metrics::registry();
    numbers.register_collector(Box::new(metrics::ClientNumbers(views.clone())));
    numbers.register_collector(Box::new(metrics::Actors(views.actors.clone())));
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
            .service(get("/readyz", web::get().to(client::readyz)))
            .configure(common_routes)
            .default_service(web::to(|| async { Problem::not_found("there is nothing here") }))
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

fn front(settings: AccessSettings) -> anyhow::Result<Front> {
    let access = Access::new(settings)?;
    access.watch();
    Ok(Front { access, requests: Requests::default() })
}

/// A path that cannot be read is a problem, too.
fn errors(config: &mut ServiceConfig) {
    config.app_data(PathConfig::default().error_handler(|_, request| fields::path_problem(request).into()));
}

fn get(path: &str, handler: actix_web::Route) -> actix_web::Resource {
    web::resource(path).route(handler).default_service(method_not_allowed(&[Method::GET]))
}

fn post(path: &str, bytes_max: usize, handler: actix_web::Route) -> actix_web::Resource {
    web::resource(path)
        .app_data(PayloadConfig::new(bytes_max))
        .route(handler)
        .default_service(method_not_allowed(&[Method::POST]))
}

fn routes(config: &mut ServiceConfig) {
    // What is asked for all the time is looked for first.
    config
        .service(get("/queued", web::get().to(wire::queued)))
        .service(get("/resources", web::get().to(wire::resources)))
        .service(post("/delay", DELAY_BYTES_MAX, web::post().to(wire::delay)))
        .service(post("/api/v1/control", CONTROL_BYTES_MAX, web::post().to(control::control)))
        .configure(page::configure)
        .service(get("/api/v1/session", web::get().to(access::session)))
        .service(get("/readyz", web::get().to(health::readyz)))
        .service(
            web::resource("/login")
                .app_data(PayloadConfig::new(access::LOGIN_BYTES_MAX))
                .route(web::post().to(access::login))
                .default_service(method_not_allowed(&[Method::GET, Method::HEAD, Method::POST])),
        )
        .service(post("/logout", access::LOGIN_BYTES_MAX, web::post().to(access::logout)));
}

/// What server and client answer alike.
fn common_routes(config: &mut ServiceConfig) {
    config
        .service(get("/healthz", web::get().to(health::healthz)))
        .service(get("/metrics", web::get().to(metrics::serve)));
}
