//! Who may ask what.
//!
//! ```text
//! request ─▶ plain? ─▶ Host known? ─▶ Origin ours, where ─▶ the router ─▶ token or session with the ─▶ within its
//!            400, 415  403            something changes? 403              route's scope? 401, 403      rate? 429
//!         ─▶ Principal, in the request: tenant and scopes, for the handlers and caches behind
//! ```

mod failures;
mod live;
pub(super) mod login;
mod needs;
mod origin;
mod plain;
mod principal;
mod sessions;
#[cfg(test)]
mod tests;

use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr},
    num::NonZeroU32,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock, mpsc},
    thread,
    time::Duration,
};

use actix_web::{
    HttpRequest,
    dev::ServiceRequest,
    http::{StatusCode, header},
};
use evenkeel_actors::reread::Reread;
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use tokio::time::{Instant, timeout};

use self::{
    failures::Failures,
    live::{Found, Live},
    needs::{Grant, To},
    principal::Scopes,
    sessions::Sessions,
};
pub(super) use self::{
    login::{LOGIN_BYTES_MAX, login, logout, session},
    needs::{Needs, pass},
    principal::{Principal, Tenant},
};
use super::{BasePath, problem::Problem};
use crate::tokens::{Hashed, Scope, Token, Tokens, TokensError};

/// How often the file is read: a token that was removed lives no longer.
const READ_EVERY: Duration = Duration::from_secs(1);
/// A file that has not been read after so long cannot be read: its file system hangs.
const READ_MAX: Duration = Duration::from_secs(1);

/// What was configured.
#[derive(Clone, Debug)]
pub struct AccessSettings {
    /// The file of tokens; without one everything is open.
    pub tokens: Option<PathBuf>,
    /// Whether `/queued`, `/resources` and `/delay` need no token.
    pub open_wire: bool,
    /// Names, besides `localhost` and addresses, under which this server may be asked.
    pub hosts: Vec<String>,
    /// Requests that one token may make in a second; as many may come at once.
    pub requests_per_second: NonZeroU32,
    /// Where a proxy shows this server.
    pub base_path: BasePath,
}

impl AccessSettings {
    /// Everything is open, to as many requests as come.
    #[cfg(test)]
    pub(super) fn open() -> Self {
        Self {
            tokens: None,
            open_wire: false,
            hosts: Vec::new(),
            requests_per_second: NonZeroU32::MAX,
            base_path: BasePath::default(),
        }
    }

    /// The page's address, of which cookies and redirections speak.
    fn root(&self) -> String {
        self.base_path.root()
    }
}

/// See the module.
pub struct Access {
    settings: AccessSettings,
    /// None where everything is open.
    live: Option<RwLock<Live>>,
    sessions: Sessions,
    /// By the token's name. Who has none is told 401, which costs no more than to be told to wait.
    rates: DefaultKeyedRateLimiter<String>,
    failures: Failures,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Access {
    /// Who may ask, as configured.
    ///
    /// # Errors
    /// The tokens cannot be read.
    pub fn new(settings: AccessSettings) -> Result<Arc<Self>, TokensError> {
        let live = match &settings.tokens {
            None => None,
            Some(file) => {
                let content = Tokens::bytes(file)
                    .map_err(|error| TokensError::Io { file: file.display().to_string(), error })?;
                let live = Live::new(file, content)?;
                if let Some(cause) = live.degraded(Instant::now()) {
                    tracing::warn!(cause, "starting all the same");
                }
                Some(RwLock::new(live))
            }
        };
        let rates = RateLimiter::keyed(Quota::per_second(settings.requests_per_second));
        Ok(Arc::new(Self {
            settings,
            live,
            sessions: Sessions::default(),
            rates,
            failures: Failures::default(),
        }))
    }

    /// Reads the file now and then, while the server runs.
    pub(super) fn watch(self: &Arc<Self>) {
        let Some(file) = self.settings.tokens.clone() else { return };
        let access = Arc::downgrade(self);
        let (mut reader, mut reread) = (Reader::start(file.clone()), Reread::from_now_on());
        actix_web::rt::spawn(async move {
            loop {
                tokio::select! {
                    () = tokio::time::sleep(READ_EVERY) => {}
                    () = reread.asked() => {}
                }
                let read = reader.read().await;
                let Some(access) = access.upgrade() else { return };
                access.look(&file, read, Instant::now());
            }
        });
    }

    fn look(&self, file: &Path, read: io::Result<Vec<u8>>, now: Instant) {
        // Who has asked for nothing lately need not be remembered.
        self.rates.retain_recent();
        let Some(live) = &self.live else { return };
        let mut live = live.write().unwrap_or_else(PoisonError::into_inner);
        match live.look(file, read, now) {
            Found::Same => {}
            Found::Tokens => {
                tracing::info!(file = %file.display(), "tokens were read again");
                self.sessions.keep(|token| live.holds(token));
            }
            Found::Trouble => {
                tracing::warn!(cause = live.degraded(now), "who may ask is not known for sure");
            }
        }
    }

    /// What is stale of who may ask, since when, and what helps; a sentence.
    pub fn degraded(&self) -> Option<String> {
        self.live.as_ref()?.read().unwrap_or_else(PoisonError::into_inner).degraded(Instant::now())
    }

    /// Whether everything is open.
    pub(super) fn is_open(&self) -> bool {
        self.live.is_none()
    }

    fn token(&self, hash: &Hashed) -> Option<Token> {
        let live = self.live.as_ref()?.read().unwrap_or_else(PoisonError::into_inner);
        live.find(hash, Instant::now()).cloned()
    }

    /// Whether this request may be looked at: nothing in it is left to interpretation, and no page elsewhere sends it.
    pub(super) fn check(&self, request: &ServiceRequest) -> Result<(), Problem> {
        plain::check(request)?;
        origin::check(request, &self.settings.hosts)
    }

    /// Where a proxy shows this server.
    pub(super) fn base_path(&self) -> &BasePath {
        &self.settings.base_path
    }

    /// Whether this request may go on to a route that `needs` this, and for whom.
    fn admit(&self, request: &ServiceRequest, needs: Needs) -> Result<(Grant, Principal), Problem> {
        let needed = match needs {
            Needs::Token(scope) | Needs::Wire(scope) => scope,
            Needs::Nothing => Scope::Read,
        };
        let everybody = |scopes| Ok((Grant { to: To::Everybody, needed }, Principal::main(scopes)));
        match needs {
            _ if self.is_open() => return everybody(Scopes::up_to(Scope::Admin)),
            Needs::Nothing => return everybody(Scopes::NONE),
            Needs::Wire(scope) if self.settings.open_wire => return everybody(Scopes::up_to(scope)),
            Needs::Token(_) | Needs::Wire(_) => {}
        }
        let given = [bearer(request.request()), session_name(request.request())];
        let found = given.into_iter().flatten().find_map(|to| Some((to, self.granted(to)?)));
        let (to, token) = found.ok_or_else(Problem::unauthorized)?;
        self.within_rate(&token.name)?;
        if token.scope < needed {
            return Err(Problem::new(
                StatusCode::FORBIDDEN,
                format!(
                    "this needs the scope {needed}, and the token of `{}` has {}",
                    token.name, token.scope
                ),
            ));
        }
        Ok((Grant { to, needed }, Principal::main(Scopes::up_to(token.scope))))
    }

    /// The token that stands behind `to`, if it is alive.
    fn granted(&self, to: To) -> Option<Token> {
        match to {
            To::Everybody => None,
            To::Token(hash) => self.token(&hash),
            To::Session(name) => self.token(&self.sessions.token(&name)?),
        }
    }

    /// Whether what was granted still is.
    fn lasts(&self, grant: &Grant) -> bool {
        matches!(grant.to, To::Everybody)
            || self.granted(grant.to).is_some_and(|token| token.scope >= grant.needed)
    }

    fn within_rate(&self, name: &str) -> Result<(), Problem> {
        self.rates.check_key(&name.to_owned()).map_err(|_| {
            let limit = self.settings.requests_per_second;
            let detail = format!("more than {limit} requests a second with the tokens of `{name}`");
            Problem::too_many(detail, Duration::from_secs(1))
        })
    }
}

/// Reads the file on a thread of its own, which nobody waits for when its file system hangs: not the server, not its end.
struct Reader {
    ask: mpsc::Sender<()>,
    answers: tokio::sync::mpsc::UnboundedReceiver<io::Result<Vec<u8>>>,
    is_asked: bool,
}

impl Reader {
    fn start(file: PathBuf) -> Self {
        let (ask, asked) = mpsc::channel();
        let (answer, answers) = tokio::sync::mpsc::unbounded_channel();
        let read = move || {
            while asked.recv().is_ok() && answer.send(Tokens::bytes(&file)).is_ok() {}
        };
        if let Err(error) = thread::Builder::new().name("tokens".to_owned()).spawn(read) {
            // Then nothing answers, and that is said as for a file that cannot be read.
            tracing::error!(%error, "no thread can be had to read the tokens");
        }
        Self { ask, answers, is_asked: false }
    }

    async fn read(&mut self) -> io::Result<Vec<u8>> {
        if !self.is_asked {
            self.is_asked = self.ask.send(()).is_ok();
        }
        match timeout(READ_MAX, self.answers.recv()).await {
            Ok(Some(read)) => {
                self.is_asked = false;
                read
            }
            Ok(None) => Err(io::Error::other("nobody reads it")),
            Err(_elapsed) => Err(io::Error::new(io::ErrorKind::TimedOut, "its file system does not answer")),
        }
    }
}

/// The token that a request brings.
fn bearer(request: &HttpRequest) -> Option<To> {
    let value = request.headers().get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, secret) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| To::Token(Hashed::of(secret.trim())))
}

/// The session that a request brings.
fn session_name(request: &HttpRequest) -> Option<To> {
    let cookie = cookie_name(request);
    let cookies = request.headers().get_all(header::COOKIE).filter_map(|value| value.to_str().ok());
    let mut pairs =
        cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let (_, name) = pairs.find(|(name, _)| *name == cookie)?;
    Some(To::Session(Hashed::of(name)))
}

/// Cookies ignore ports: two installations on one host have two sessions in a browser.
fn cookie_name(request: &HttpRequest) -> String {
    format!("evenkeel_session_{}", request.app_config().local_addr().port())
}

/// From where a request comes; tests' come from nowhere.
fn address(request: &HttpRequest) -> IpAddr {
    request.peer_addr().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip())
}
