//! Which Redis, as whom, and over what: `redis://`, `rediss://` for TLS, or a socket in the file system.

use std::{str::FromStr, sync::Arc, time::Duration};

use redis::{
    Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _, RedisConnectionInfo, RedisResult,
    TlsCertificates,
};

use super::{
    link::RedisFault,
    wire::{Connector, Wire},
};
use crate::address::{Address, AddressError};

/// What addresses of a Redis look like.
const EXPECTED: &str = "redis://[user:password@]host[:port][/db], rediss:// for TLS, or redis+unix:///path";
/// Schemes that others write, too.
const SCHEMES: [&str; 7] = ["redis", "rediss", "valkey", "valkeys", "redis+unix", "valkey+unix", "unix"];
/// Where Redis listens by itself.
const PORT: u16 = 6379;

/// Where a Redis is, and as whom to speak to it. It shows no secret.
#[derive(Clone)]
pub struct Target {
    pub(super) connector: Arc<dyn Connector>,
    encrypted: bool,
    shown: String,
}

/// A text that names no Redis. It is not repeated: where its password ends only its author knows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the address of Redis cannot be used: {reason}; expected {EXPECTED}")]
pub struct TargetError {
    reason: String,
}

impl From<AddressError> for TargetError {
    fn from(error: AddressError) -> Self {
        Self { reason: error.to_string() }
    }
}

fn wrong(reason: &str) -> TargetError {
    TargetError { reason: reason.to_owned() }
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(url: &str) -> Result<Self, TargetError> {
        Self::new(url, None)
    }
}

impl Target {
    /// The Redis at `url`, with `password` in place of the one that the url holds or does not.
    ///
    /// # Errors
    /// [`TargetError`]; it shows no password.
    pub fn new(url: &str, password: Option<&str>) -> Result<Self, TargetError> {
        Self::trusting(url, password, None)
    }

    /// As [`Target::new`]; a certificate must be signed by one of those in `authorities`, PEM, in place of the system's.
    ///
    /// # Errors
    /// [`TargetError`]; it shows no password.
    pub fn trusting(
        url: &str,
        password: Option<&str>,
        authorities: Option<&[u8]>,
    ) -> Result<Self, TargetError> {
        let address = Address::parse(url, &SCHEMES, "redis:// or rediss://")?;
        let (place, encrypted) = place(&address)?;
        let settings = settings(&address, password)?;
        let info = place.into_connection_info().map(|info| info.set_redis_settings(settings));
        let client = info.and_then(|info| open(info, authorities.filter(|_| encrypted)));
        let client = client.map_err(|error| wrong(error.detail().unwrap_or("it cannot be used")))?;
        Ok(Self { connector: Arc::new(client), encrypted, shown: address.to_string() })
    }
}

impl Target {
    /// The same, with what `renew` gives asked before each connection: a password may have been rotated. Where it
    /// gives nothing, this one is used.
    #[must_use]
    pub fn renewed_by(self, renew: impl Fn() -> Option<Self> + Send + Sync + 'static) -> Self {
        let (encrypted, shown) = (self.encrypted, self.shown.clone());
        Self { connector: Arc::new(Renewed { first: self, renew: Box::new(renew) }), encrypted, shown }
    }

    /// Whether TLS is spoken.
    pub fn is_encrypted(&self) -> bool {
        self.encrypted
    }
}

struct Renewed {
    first: Target,
    renew: Box<dyn Fn() -> Option<Target> + Send + Sync>,
}

impl Connector for Renewed {
    fn connect(&self, answer_max: Duration, write_max: Duration) -> Result<Box<dyn Wire>, RedisFault> {
        let target = (self.renew)().unwrap_or_else(|| self.first.clone());
        target.connector.connect(answer_max, write_max)
    }
}

fn open(info: ConnectionInfo, authorities: Option<&[u8]>) -> RedisResult<Client> {
    match authorities {
        Some(pem) => {
            Client::build_with_tls(info, TlsCertificates { client_tls: None, root_cert: Some(pem.to_vec()) })
        }
        None => Client::open(info),
    }
}

/// Where it is, and whether the way there is encrypted.
fn place(address: &Address) -> Result<(ConnectionAddr, bool), TargetError> {
    let url = address.expose();
    if url.fragment().is_some() {
        return Err(wrong("nothing may stand after a `#`: certificates are always verified"));
    }
    if url.scheme().contains("unix") {
        let path = url.to_file_path().map_err(|()| AddressError::Host)?;
        return Ok((ConnectionAddr::Unix(path), false));
    }
    let host = match url.host() {
        Some(url::Host::Domain(name)) => name.to_owned(),
        Some(url::Host::Ipv4(address)) => address.to_string(),
        // Without the brackets.
        Some(url::Host::Ipv6(address)) => address.to_string(),
        None => return Err(AddressError::Host.into()),
    };
    if ["0.0.0.0", "::"].contains(&host.as_str()) {
        return Err(wrong("it names all addresses of a machine: one can listen there, and not connect"));
    }
    let port = url.port().unwrap_or(PORT);
    Ok(match url.scheme() {
        "rediss" | "valkeys" => {
            (ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }, true)
        }
        _ => (ConnectionAddr::Tcp(host, port), false),
    })
}

/// As whom. RESP2 is spoken whatever the address asks for: every Redis answers it, and nothing here needs more.
fn settings(address: &Address, password: Option<&str>) -> Result<RedisConnectionInfo, TargetError> {
    let url = address.expose();
    let (mut user, mut own, mut database) = (address.user()?, address.password()?, None);
    if !url.scheme().contains("unix") {
        database = Some(url.path().trim_matches('/').to_owned()).filter(|path| !path.is_empty());
    }
    for (name, value) in url.query_pairs() {
        match name.as_ref() {
            "user" | "username" => user = Some(value.into_owned()),
            "pass" | "password" => own = Some(value.into_owned()),
            "db" => database = Some(value.into_owned()),
            "protocol" if ["2", "3", "resp2", "resp3"].contains(&value.as_ref()) => {}
            _ => {
                return Err(wrong("after a `?` only user, password, db and protocol=2 or 3 have a meaning"));
            }
        }
    }
    let database = database.map_or(Ok(0), |text| text.parse()).ok().filter(|&number: &i64| number >= 0);
    let database = database.ok_or_else(|| {
        wrong("its database is no number; in a user or password / ? # are written %2F %3F %23")
    })?;
    // The library's name for `CLIENT LIST`: a right that nobody needs.
    let mut settings = RedisConnectionInfo::default().set_skip_set_lib_name().set_db(database);
    if let Some(user) = user {
        settings = settings.set_username(user);
    }
    if let Some(password) = password.map(str::to_owned).or(own) {
        settings = settings.set_password(password);
    }
    Ok(settings)
}

#[cfg(test)]
impl Target {
    /// What `connector` leads to.
    pub(crate) fn over(connector: impl Connector + 'static) -> Self {
        Self { connector: Arc::new(connector), encrypted: false, shown: "a model".to_owned() }
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.shown.fmt(f)
    }
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Target({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(url: &str, password: Option<&str>) -> RedisConnectionInfo {
        let address = Address::parse(url, &SCHEMES, "").unwrap();
        settings(&address, password).unwrap()
    }

    #[test]
    fn an_address_is_read_as_people_write_it() {
        for url in [
            "redis://127.0.0.1",
            "redis://[::1]:6379/0",
            "rediss://redis.example:6380",
            "valkey://redis.example/3?protocol=resp3",
            "redis://redis.example?protocol=3",
            "redis+unix:///run/redis/redis%20sock?db=1&user=u&pass=p",
            "unix:/run/redis.sock",
        ] {
            let target = url.parse::<Target>();
            assert!(target.is_ok(), "{url}: {target:?}");
        }
        let shown = |url: &str| url.parse::<Target>().unwrap().to_string();
        assert_eq!(shown("redis://u:SECRET@h:1/2"), "redis://…@h:1/2");
        let (place, encrypted) = place(&Address::parse("rediss://[::1]", &SCHEMES, "").unwrap()).unwrap();
        assert_eq!((place.to_string().as_str(), encrypted), ("::1:6379", true));
    }

    #[test]
    fn a_password_comes_from_the_file_the_address_or_its_query() {
        let shown = |info: &RedisConnectionInfo| {
            (info.username().map(str::to_owned), info.password().map(str::to_owned))
        };
        let both = |user: &str, password: &str| (Some(user.to_owned()), Some(password.to_owned()));
        assert_eq!(shown(&info("redis://u:p@h", None)), both("u", "p"));
        assert_eq!(shown(&info("redis://u:p@h", Some("f"))), both("u", "f"));
        assert_eq!(shown(&info("redis://h?user=u&password=a%26b", None)), both("u", "a&b"));
        assert_eq!(info("redis://h/7", None).db(), 7);
        assert_eq!(info("unix:/x?db=7", None).db(), 7);
    }

    #[test]
    fn what_cannot_be_says_what_would_be_right_and_repeats_nothing() {
        for (url, says) in [
            ("http://a:SECRET@b", "redis://"),
            ("redis:/x:SECRET@h", "no host"),
            ("redis://x:1/SECRET@h", "%2F"),
            ("redis://x:SECRET/1@h", "%2F"),
            ("redis://h?SECRET=1", "user, password, db"),
            ("redis://h?protocol=SECRET", "protocol=2 or 3"),
            ("rediss://h/#insecure", "always verified"),
            ("redis://0.0.0.0", "connect"),
            ("unix://a:SECRET@h/x", "no host"),
            ("", "empty"),
        ] {
            let error = url.parse::<Target>().unwrap_err();
            let said = format!("{error} {error:?}");
            assert!(
                said.contains(says) && said.contains("expected") && !said.contains("SECRET"),
                "{url}: {said}"
            );
        }
    }
}
