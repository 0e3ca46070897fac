//! Who may ask what.
//!
//! ```text
//! request ─▶ Host known? ─▶ Origin ours, where something changes? ─▶ token or session with the scope? ─▶ within
//!            no: 403        no: 403                                  none: 401, too little: 403          its rate?
//!                                                                                                        no: 429
//! ```

pub(super) mod login;
mod sessions;

use std::{
    net::IpAddr,
    num::NonZeroU32,
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, SystemTime},
};

use actix_web::{
    dev::ServiceRequest,
    http::{Method, StatusCode, header},
};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

pub(super) use self::login::{LOGIN_BYTES_MAX, login, logout, session};
use self::sessions::Sessions;
use super::problem::Problem;
use crate::tokens::{Hashed, Scope, Token, Tokens, TokensError};

/// Name of the cookie that stands for a token in a browser.
pub(super) const COOKIE: &str = "evenkeel_session";
/// How often the file is looked at: a token that was removed lives no longer.
const RELOAD_EVERY: Duration = Duration::from_secs(1);
/// Whose requests without a valid token are counted together.
const NOBODY: &str = "";

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
}

/// See the module.
pub(super) struct Access {
    settings: AccessSettings,
    /// None where everything is open.
    live: Option<RwLock<Live>>,
    sessions: Sessions,
    rates: DefaultKeyedRateLimiter<String>,
}

/// The tokens of the file, as it was when it was last looked at.
struct Live {
    tokens: Tokens,
    changed: Option<SystemTime>,
}

impl Access {
    pub(super) fn new(settings: AccessSettings) -> Result<Arc<Self>, TokensError> {
        let live = match &settings.tokens {
            None => None,
            Some(file) => {
                let changed = changed(file);
                let tokens = Tokens::read(file)?;
                if tokens.is_empty() {
                    tracing::warn!(file = %file.display(), "no token in it: nobody gets in until `evenkeel token new`");
                }
                Some(RwLock::new(Live { tokens, changed }))
            }
        };
        let rates = RateLimiter::keyed(Quota::per_second(settings.requests_per_second));
        Ok(Arc::new(Self { settings, live, sessions: Sessions::default(), rates }))
    }

    /// Looks at the file now and then, while the server runs.
    pub(super) fn watch(self: &Arc<Self>) {
        let access = Arc::downgrade(self);
        actix_web::rt::spawn(async move {
            loop {
                tokio::time::sleep(RELOAD_EVERY).await;
                let Some(access) = access.upgrade() else { return };
                access.reload();
            }
        });
    }

    fn reload(&self) {
        let (Some(live), Some(file)) = (&self.live, &self.settings.tokens) else { return };
        let now = changed(file);
        if now == live.read().unwrap_or_else(PoisonError::into_inner).changed {
            return;
        }
        match Tokens::read(file) {
            Ok(tokens) => {
                tracing::info!(file = %file.display(), "tokens were read again");
                *live.write().unwrap_or_else(PoisonError::into_inner) = Live { tokens, changed: now };
            }
            // A file that is being written, or a slip of the pen, locks nobody out.
            Err(cause) => {
                tracing::warn!(%cause, "the tokens of before stay alive");
                live.write().unwrap_or_else(PoisonError::into_inner).changed = now;
            }
        }
        self.rates.retain_recent();
    }

    /// Whether everything is open.
    pub(super) fn is_open(&self) -> bool {
        self.live.is_none()
    }

    fn token(&self, hash: &Hashed) -> Option<Token> {
        let live = self.live.as_ref()?.read().unwrap_or_else(PoisonError::into_inner);
        live.tokens.find(hash).cloned()
    }

    /// Whether this request may go on.
    pub(super) fn admit(&self, request: &ServiceRequest) -> Result<(), Problem> {
        self.check_host(request)?;
        let Some(scope) = self.needed(request) else { return Ok(()) };
        if self.is_open() {
            return Ok(());
        }
        let Some(token) = self.bearer(request).or_else(|| self.session_token(request)) else {
            self.within_rate(NOBODY)?;
            return Err(Problem::unauthorized());
        };
        self.within_rate(&token.name)?;
        if token.scope < scope {
            return Err(Problem::new(
                StatusCode::FORBIDDEN,
                format!(
                    "this needs the scope {scope}, and the token of `{}` has {}",
                    token.name, token.scope
                ),
            ));
        }
        Ok(())
    }

    fn within_rate(&self, name: &str) -> Result<(), Problem> {
        self.rates.check_key(&name.to_owned()).map_err(|_| {
            let limit = self.settings.requests_per_second;
            Problem::too_many(format!("more than {limit} requests a second with this token"))
        })
    }

    /// A page elsewhere that has its name point here would otherwise read everything (DNS rebinding), and one that
    /// sends a form here would change it.
    fn check_host(&self, request: &ServiceRequest) -> Result<(), Problem> {
        let forbidden = |what| Err(Problem::new(StatusCode::FORBIDDEN, what));
        let header = |name| request.headers().get(name).map(|value| value.to_str().unwrap_or_default());
        let host = header(header::HOST);
        if let Some(host) = host
            && !self.knows(host)
        {
            return forbidden(format!(
                "this server is not known as `{}`: ask for it by its address, or start it with --allow-host",
                host.chars().take(100).collect::<String>()
            ));
        }
        let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
        if let Some(origin) = header(header::ORIGIN)
            && !reads
        {
            let authority = origin.split_once("://").map(|(_, authority)| authority);
            if authority.is_none() || authority != host {
                return forbidden("a page of another origin may not change anything here".to_owned());
            }
        }
        Ok(())
    }

    fn knows(&self, host: &str) -> bool {
        let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((address, _port)) => address,
            None => host.rsplit_once(':').map_or(host, |(name, _port)| name),
        };
        name.eq_ignore_ascii_case("localhost")
            || name.parse::<IpAddr>().is_ok()
            || self.settings.hosts.iter().any(|known| known.eq_ignore_ascii_case(name))
    }

    /// What the request needs; none when it is open to everybody.
    fn needed(&self, request: &ServiceRequest) -> Option<Scope> {
        let reads = matches!(*request.method(), Method::GET | Method::HEAD);
        match request.path() {
            "/healthz" | "/readyz" | "/login" | "/logout" | "/" => None,
            path if path.starts_with("/assets/") || path == "/favicon.svg" => None,
            "/queued" | "/resources" | "/delay" if self.settings.open_wire => None,
            "/api/v1/mode" if !reads => Some(Scope::Admin),
            _ if !reads => Some(Scope::Control),
            _ => Some(Scope::Read),
        }
    }

    fn bearer(&self, request: &ServiceRequest) -> Option<Token> {
        let value = request.headers().get(header::AUTHORIZATION)?.to_str().ok()?;
        let (scheme, secret) = value.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        self.token(&Hashed::of(secret.trim()))
    }

    fn session_token(&self, request: &ServiceRequest) -> Option<Token> {
        let cookies = request.headers().get_all(header::COOKIE).filter_map(|value| value.to_str().ok());
        let mut pairs =
            cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let (_, session) = pairs.find(|(name, _)| *name == COOKIE)?;
        self.token(&self.sessions.token(session)?)
    }
}

fn changed(file: &std::path::Path) -> Option<SystemTime> {
    std::fs::metadata(file).and_then(|meta| meta.modified()).ok()
}
