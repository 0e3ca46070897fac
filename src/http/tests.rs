//! Every route of the router, on the wire: who gets in, and what a body may be.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    time::Duration,
};

use actix::{Actor, Context, Handler, Message};
use evenkeel_actors::{
    messages::{
        Control, ControlRefused, Delay, DelayRefused, GetMinutes, GetSteps, Lost, SetMode, SetModeRefused,
    },
    server::daemon::Pace,
    stores::redis::Keys,
    supervise::port::Port,
};
use evenkeel_core::{insight::recap::Step, server::queue::HoldLimits};
use tokio::sync::watch;

use super::*;
use crate::{
    http::{access::Needs, routes::Declared, slice::Readiness},
    tokens::{Scope, Tokens},
};

/// Takes what is asked, and has nothing.
struct Nobody;

impl Actor for Nobody {
    type Context = Context<Self>;
}

macro_rules! answers {
    ($($message:ty => $answer:expr),+ $(,)?) => {$(
        impl Handler<$message> for Nobody {
            type Result = <$message as Message>::Result;
            fn handle(&mut self, _: $message, _: &mut Context<Self>) -> Self::Result {
                $answer
            }
        }
    )+};
}

impl Handler<GetSteps> for Nobody {
    type Result = actix::MessageResult<GetSteps>;

    fn handle(&mut self, _: GetSteps, _: &mut Context<Self>) -> Self::Result {
        actix::MessageResult(Vec::<Step>::new())
    }
}

impl Handler<GetMinutes> for Nobody {
    type Result = actix::MessageResult<GetMinutes>;

    fn handle(&mut self, _: GetMinutes, _: &mut Context<Self>) -> Self::Result {
        actix::MessageResult(Vec::new())
    }
}

answers! {
    Delay => Err(DelayRefused::Lost(Lost)),
    Control => Err(ControlRefused::Lost(Lost)),
    SetMode => Err(SetModeRefused::Lost(Lost)),
}

/// What never changes, because nobody changes it.
pub(super) fn still<T>(value: T) -> watch::Receiver<T> {
    watch::channel(value).1
}

/// A server behind which nobody works.
pub(super) fn views(access: Arc<Access>) -> Views {
    let nobody = Nobody.start();
    let about = About {
        ahead_until: evenkeel_core::units::tick::Tick(0),
        name: "main".to_owned(),
        form: Form::Embedded,
        levels: true,
        database: "none".to_owned(),
        lengths: evenkeel_core::units::lengths::Lengths::default(),
        started_ms: 0,
        delay_objective_ticks: 100,
        limits: HoldLimits::default(),
        data_dir: PathBuf::from("/nowhere"),
        journal: uuid::Uuid::nil(),
        writer_epoch: 1,
        keys: Keys::new("evenkeel", "main").unwrap(),
        redis: None,
        executed_before: 0,
    };
    Views {
        about: Arc::new(about),
        clock: evenkeel_actors::clock::Clock::default(),
        access,
        history: Arc::new(|| Err(evenkeel_actors::ports::history::ReadError::Stopped)),
        queue: still(None),
        window: still(None),
        overview: still(Arc::default()),
        pace: still(Pace::default()),
        outbox: still(evenkeel_actors::ports::ledger::Published::default()),
        shipping: None,
        told: still(None),
        redis: None,
        actors: Roster::default(),
        draining: still(false),
        degraded: still(Vec::new()),
        delay: Port::from(nobody.clone().recipient()),
        control: Port::from(nobody.clone().recipient()),
        set_mode: Port::from(nobody.clone().recipient()),
        steps: Port::from(nobody.clone().recipient()),
        minutes: Port::from(nobody.recipient()),
    }
}

/// Every route of a process with these slices.
fn declared(slices: Vec<Arc<dyn Slice>>) -> Vec<Declared> {
    let process = Process::new(Slices::new(slices), Roster::default(), Requests::default());
    let mut declared = Vec::new();
    let _ = App::new().configure(|config| {
        let mut routes = Routes::new(config);
        process.routes(&mut routes);
        declared = routes.declared;
    });
    declared
}

/// A running server, its routes, and a token of each scope.
struct World {
    address: SocketAddr,
    tokens: Vec<(Scope, String)>,
    routes: Vec<Declared>,
    _folder: tempfile::TempDir,
}

impl World {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tokens");
        let tokens = Scope::ALL.map(|scope| (scope, Tokens::create(&file, scope.name(), scope).unwrap()));
        let settings = AccessSettings { tokens: Some(file), ..AccessSettings::open() };
        let access = Access::new(settings).unwrap();
        let slices: Vec<Arc<dyn Slice>> = vec![Arc::new(ServerSlice::new(views(Arc::clone(&access))))];
        let routes = declared(slices.clone());
        let (server, address) = serve("127.0.0.1:0", &access, Roster::default(), slices).unwrap();
        actix_web::rt::spawn(server);
        assert!(routes.len() > 20, "{routes:?}");
        Self { address, tokens: tokens.to_vec(), routes, _folder: folder }
    }

    /// The status of the answer to a request with these header lines and this body.
    async fn ask(&self, route: &Declared, token: Option<Scope>, headers: String, body: Vec<u8>) -> u16 {
        let (method, path) = (&route.method, route.path.replace(['{', '}', ':', '.', '*'], ""));
        let token = self.tokens.iter().find(|(scope, _)| Some(*scope) == token);
        let token = token.map(|(_, token)| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
        let head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{token}{headers}\r\n");
        let line = sent(self.address, [head.into_bytes(), body].concat(), |answer| {
            let mut line = String::new();
            answer.read_line(&mut line).unwrap();
            line
        });
        line.await.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default()
    }
}

/// Sends `request` to `address`, and reads of the answer what `read` does.
async fn sent<T: Send + 'static>(
    address: SocketAddr,
    request: Vec<u8>,
    read: impl FnOnce(&mut BufReader<TcpStream>) -> T + Send + 'static,
) -> T {
    let asked = move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        stream.write_all(&request).unwrap();
        read(&mut BufReader::new(stream))
    };
    tokio::task::spawn_blocking(asked).await.unwrap()
}

/// `body` in chunks, of which the last is not said to be.
fn chunks(body: &[u8]) -> Vec<u8> {
    let chunk = |part: &[u8]| [format!("{:x}\r\n", part.len()).as_bytes(), part, b"\r\n"].concat();
    body.chunks(64 * 1024).flat_map(chunk).collect()
}

#[actix_web::test]
async fn each_route_lets_in_whom_it_says_and_changes_need_more_than_reading() {
    let world = World::start();
    for route in &world.routes {
        let needed = match route.needs {
            Needs::Nothing => None,
            Needs::Token(scope) | Needs::Wire(scope) => Some(scope),
        };
        let body = || (String::from("Content-Length: 2\r\n"), b"{}".to_vec());
        let (headers, content) = body();
        let without = world.ask(route, None, headers, content).await;
        assert_eq!(without == 401, needed.is_some(), "{route:?}: {without}");
        for scope in Scope::ALL {
            let (headers, content) = body();
            let answered = world.ask(route, Some(scope), headers, content).await;
            assert_eq!(answered == 403, Some(scope) < needed, "{route:?} with {scope}: {answered}");
        }
        let changes = !["GET", "HEAD"].contains(&route.method.as_str());
        let signs = ["/login", "/logout"].contains(&route.path);
        assert!(!changes || signs || needed > Some(Scope::Read), "{route:?}");
    }
}

#[actix_web::test]
async fn what_is_nowhere_is_hidden_from_strangers_and_said_to_those_who_may_read() {
    let world = World::start();
    for path in
        ["/nothing", "/api/v1/nothing", "/api/v1/mode/x", "/queued/x", "/healthz/x", "/assets", "/login/x"]
    {
        for method in ["GET", "HEAD", "PUT", "POST", "DELETE", "PATCH"] {
            let method = method.parse().unwrap();
            let nowhere = Declared { method, path, needs: Needs::READ, bytes_max: None };
            let ask = |token| world.ask(&nowhere, token, "Content-Length: 0\r\n".to_owned(), Vec::new());
            assert_eq!(ask(None).await, 401, "{nowhere:?}");
            for scope in Scope::ALL {
                assert_eq!(ask(Some(scope)).await, 404, "{nowhere:?} with {scope}");
            }
        }
    }
}

#[actix_web::test]
async fn no_spelling_of_a_path_needs_less() {
    let world = World::start();
    let spell =
        |path| Declared { method: "PUT".parse().unwrap(), path, needs: Needs::ADMIN, bytes_max: None };
    let body = || (String::from("Content-Length: 18\r\n"), br#"{"mode":"enforce"}"#.to_vec());
    for path in [
        "/api/v1/mode",
        "/api/v1/mod%65",
        "/api/v1/%6dode",
        "/%61pi/v1/mode",
        "/api%2Fv1/mode",
        "/api/v1//mode",
        "//api/v1/mode",
        "/api/v1/mode/",
        "/api/v1/../v1/mode",
        "/api/v1/./mode",
        "/api/v1/mode%00",
        "/api/v1/mode;x",
        "/API/v1/mode",
        "/api/v1/mode?x=1",
        "/api/v1/mode%3Fx",
        "http://localhost/api/v1/mode",
        "http://localhost/api/v1/mod%65",
    ] {
        let (headers, content) = body();
        let answered = world.ask(&spell(path), Some(Scope::Control), headers, content).await;
        assert!([400, 403, 404].contains(&answered), "{path}: {answered}");
    }
    let (headers, content) = body();
    assert_eq!(
        world.ask(&spell("/api/v1/mode"), Some(Scope::Admin), headers, content).await,
        503,
        "nobody is there"
    );
}

#[actix_web::test]
async fn the_limit_of_each_body_holds_for_what_is_decoded_with_and_without_a_length() {
    let world = World::start();
    let admin = Some(Scope::Admin);
    for route in &world.routes {
        for encoding in ["gzip", "deflate", "br", "zstd", "identity, gzip", "x"] {
            for framing in ["Content-Length: 40", "Transfer-Encoding: chunked"] {
                let headers = format!("Content-Encoding: {encoding}\r\n{framing}\r\n");
                // Nothing of it is waited for.
                let answered = world.ask(route, admin, headers, Vec::new()).await;
                assert_eq!(answered, 415, "{route:?} {encoding} {framing}");
            }
        }
        let Some(bytes_max) = route.bytes_max else { continue };
        let (exact, more) = (vec![b' '; bytes_max], vec![b' '; bytes_max + 1]);
        let length = |body: &[u8]| format!("Content-Length: {}\r\n", body.len());
        let chunked = || "Transfer-Encoding: chunked\r\n".to_owned();
        assert_eq!(world.ask(route, admin, length(&more), Vec::new()).await, 413, "{route:?}");
        assert_eq!(world.ask(route, admin, chunked(), chunks(&more)).await, 413, "{route:?}");
        assert_eq!(world.ask(route, admin, length(&exact), exact.clone()).await, 400, "{route:?}");
        let whole = [chunks(&exact), b"0\r\n\r\n".to_vec()].concat();
        assert_eq!(world.ask(route, admin, chunked(), whole).await, 400, "{route:?}");
    }
}

#[actix_web::test]
async fn a_body_that_is_encoded_for_the_way_is_not_decoded_either() {
    let world = World::start();
    for route in &world.routes {
        let headers = "Transfer-Encoding: gzip, chunked\r\n".to_owned();
        let answered = world.ask(route, Some(Scope::Admin), headers, b"0\r\n\r\n".to_vec()).await;
        assert!(answered >= 400 || route.bytes_max.is_none(), "{route:?}: {answered}");
    }
}

/// A slice that cannot do its work, and does less of it than it should.
struct Troubled;

impl Slice for Troubled {
    fn routes(&self, _: &mut Routes<'_>) {}

    fn metrics(&self, _: &mut prometheus_client::registry::Registry) {}

    fn readiness(&self, readiness: &mut Readiness) {
        readiness.reasons.push("the other slice lacks a disk".to_owned());
        let sentence = "the other slice is slow".to_owned();
        readiness.degraded.push(Cause { kind: Kind::Access, sentence, since_ms: 1 });
    }
}

#[actix_web::test]
async fn whoever_says_whether_the_process_is_ready_asks_all_its_slices() {
    let access = Access::new(AccessSettings::open()).unwrap();
    let server = Arc::new(ServerSlice::new(views(Arc::clone(&access))));
    let slices: Vec<Arc<dyn Slice>> = vec![server, Arc::new(Troubled)];
    let (running, address) = serve("127.0.0.1:0", &access, Roster::default(), slices).unwrap();
    actix_web::rt::spawn(running);
    for (path, ends) in [("/readyz", "}"), ("/api/v1/status", "}"), ("/api/v1/events", "\n\n")] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        let answer = sent(address, request.into_bytes(), move |answer| {
            let mut text = String::new();
            while let Ok(1..) = answer.read_line(&mut text)
                && !(text.contains("\r\n\r\n{") && text.ends_with(ends))
                && !(text.contains("data: ") && text.ends_with(ends))
            {}
            text
        });
        let answer = answer.await;
        for says in ["the other slice lacks a disk", "the other slice is slow", "no tick has run yet"] {
            assert!(answer.contains(says), "{path} does not say that {says}: {answer}");
        }
        assert!(!answer.contains(r#""ready":true"#), "{path}: {answer}");
    }
}

/// What people see of a browser's ways: the page with its parts, its session, and the description itself.
const NOT_OF_THE_API: [&str; 7] =
    ["/", "/login", "/logout", "/assets/{name}", "/api/v1/openapi.json", "/api/docs", "/api/docs/{file:.*}"];

fn operation(route: &Declared) -> String {
    format!("{} {}", route.method.as_str().to_ascii_lowercase(), route.path)
}

#[actix_web::test]
async fn the_document_describes_every_route_and_no_other() {
    let access = Access::new(AccessSettings::open()).unwrap();
    let declared_by_server = declared(vec![Arc::new(ServerSlice::new(views(access)))]);
    for path in NOT_OF_THE_API {
        assert!(declared_by_server.iter().any(|route| route.path == path), "there is no {path} any more");
    }
    let mut routes: Vec<_> = declared_by_server
        .iter()
        .filter(|route| !NOT_OF_THE_API.contains(&route.path))
        .map(operation)
        .collect();
    let document = serde_json::to_value(v1::document()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let mut described: Vec<_> = paths
        .iter()
        .flat_map(|(path, item)| {
            item.as_object().unwrap().keys().map(move |method| format!("{method} {path}"))
        })
        .collect();
    routes.sort();
    described.sort();
    assert_eq!(routes, described);
    // What every process answers, a client as well.
    for route in declared(Vec::new()) {
        assert!(described.contains(&operation(&route)), "a process' {} is not described", operation(&route));
    }
}
