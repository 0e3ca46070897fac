//! How others are reached: the server's address, and whose certificates are trusted on the way.

use std::{fmt, path::Path, sync::Arc, time::Duration};

use awc::{ClientRequest, error::SendRequestError};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};

use super::secret::Secret;
use crate::address::{Address, AddressError};

/// What cannot be used to reach somebody. It repeats no address.
#[derive(Debug, thiserror::Error)]
pub enum ReachError {
    /// The server's address is none.
    #[error("the server's address cannot be used: {0}; expected http://host[:port] or https://host[:port]")]
    Address(#[from] AddressError),
    /// Something stands in it that would be read by nobody.
    #[error("the server's address has {0}")]
    TooMuch(&'static str),
    /// The file of certificates cannot be read.
    #[error("{file}: {reason}; expected certificates of authorities as PEM, -----BEGIN CERTIFICATE-----")]
    File {
        /// Which one.
        file: String,
        /// Why.
        reason: String,
    },
    /// Nobody could be trusted.
    #[error(
        "this system trusts no certificate authority ({cause}): name one with {flag} FILE, or install ca-certificates"
    )]
    NoAuthorities {
        /// How to name one.
        flag: &'static str,
        /// What was found in their place.
        cause: String,
    },
    /// Other.
    #[error("TLS cannot be used: {0}")]
    Tls(#[from] rustls::Error),
}

/// Certificates of authorities in a file, PEM, as they are.
///
/// # Errors
/// [`ReachError::File`]: it cannot be read, or holds none.
pub fn authorities(file: &Path) -> Result<Vec<u8>, ReachError> {
    let wrong = |reason: String| ReachError::File { file: file.display().to_string(), reason };
    let pem = std::fs::read(file).map_err(|error| wrong(error.to_string()))?;
    trusting(&pem).map_err(wrong)?;
    Ok(pem)
}

fn trusting(pem: &[u8]) -> Result<RootCertStore, String> {
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let added = certificate.map_err(|error| error.to_string()).map(|certificate| store.add(certificate));
        added?.map_err(|error| error.to_string())?;
    }
    if store.is_empty() { Err("it holds no certificate".to_owned()) } else { Ok(store) }
}

/// The authorities that this system trusts; `flag` names others.
///
/// # Errors
/// [`ReachError::NoAuthorities`]
pub fn system_authorities(flag: &'static str) -> Result<RootCertStore, ReachError> {
    let found = rustls_native_certs::load_native_certs();
    let mut store = RootCertStore::empty();
    // One that cannot be read is trusted by nobody; the others are.
    store.add_parsable_certificates(found.certs);
    if store.is_empty() {
        let cause = found.errors.first().map_or_else(|| "none was found".to_owned(), ToString::to_string);
        return Err(ReachError::NoAuthorities { flag, cause });
    }
    Ok(store)
}

/// Where the server is. It shows no secret, for it holds none.
#[derive(Clone)]
pub struct Server {
    /// Without a slash at its end.
    base: String,
    tls: Option<Arc<ClientConfig>>,
}

impl Server {
    /// The server at `url`, `http://` or `https://`. Its certificate must be signed by one of those in `authorities`, or
    /// by one that this system trusts.
    ///
    /// # Errors
    /// [`ReachError`]
    pub fn new(url: &str, ca_file: Option<&Path>) -> Result<Self, ReachError> {
        let address = read(url)?;
        if address.has_user_info() {
            return Err(ReachError::TooMuch("a user or password: a bearer token goes into --token-file"));
        }
        let parsed = address.expose();
        if parsed.query().is_some() || parsed.fragment().is_some() {
            return Err(ReachError::TooMuch("a `?` or `#`: expected http://host[:port]"));
        }
        if parsed.path().contains('@') {
            return Err(AddressError::Port.into());
        }
        let encrypted = address.scheme() == "https";
        let tls = encrypted.then(|| tls(ca_file, "--server-ca")).transpose()?;
        Ok(Self { base: parsed.as_str().trim_end_matches('/').to_owned(), tls })
    }

    /// What may be shown of `url`, which may be none.
    pub fn shown(url: &str) -> String {
        read(url).map_or_else(|error| ReachError::from(error).to_string(), |address| address.to_string())
    }

    /// The URL of `path`, which begins with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// A client whose answers may take `answer_max`, and whose connections live for `keep` unused.
    pub fn client(&self, answer_max: Duration, keep: Duration) -> awc::Client {
        let mut connector =
            awc::Connector::new().timeout(answer_max).handshake_timeout(answer_max).conn_keep_alive(keep);
        if let Some(tls) = &self.tls {
            connector = connector.rustls_0_23(Arc::clone(tls));
        }
        awc::Client::builder().connector(connector).timeout(answer_max).disable_redirects().finish()
    }
}

fn read(url: &str) -> Result<Address, AddressError> {
    Address::parse(url, &["http", "https"], "http:// or https://")
}

/// How TLS is spoken to a server whose certificate must be signed by one of those in `ca_file`, or by one that this system
/// trusts; `flag` names others.
pub(crate) fn tls(ca_file: Option<&Path>, flag: &'static str) -> Result<Arc<ClientConfig>, ReachError> {
    let store = match ca_file {
        Some(file) => {
            let wrong = |reason| ReachError::File { file: file.display().to_string(), reason };
            trusting(&authorities(file)?).map_err(wrong)?
        }
        None => system_authorities(flag)?,
    };
    // The provider is named: a process has no default one where two crates bring their own.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(Arc::new(config.with_root_certificates(store).with_no_client_auth()))
}

/// `request` with the `token` that opens the server, where there is one.
pub fn opened(request: ClientRequest, token: Option<&Secret>) -> ClientRequest {
    match token {
        Some(token) => request.bearer_auth(token.expose()),
        None => request,
    }
}

/// Why a request did not succeed, and what would help.
pub fn cause(error: &SendRequestError) -> String {
    let text = error.to_string();
    // The second when an authority that is trusted only has the same name.
    if text.contains("UnknownIssuer") || text.contains("BadSignature") {
        return format!("{text}: none of the trusted authorities signed it, --server-ca FILE names others");
    }
    text
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.base.fmt(f)
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_and_repeated_only_when_it_holds_no_secret() {
        let server = |url: &str| Server::new(url, None).map(|server| server.url("/x"));
        assert_eq!(server("http://127.0.0.1:7070/").unwrap(), "http://127.0.0.1:7070/x");
        assert_eq!(server("http://[::1]:7070").unwrap(), "http://[::1]:7070/x");
        assert_eq!(server("http://edge.example/evenkeel/").unwrap(), "http://edge.example/evenkeel/x");
        for (url, says) in [
            ("http://x:SECRET@h", "--token-file"),
            ("http:/x:SECRET@h", "no host"),
            ("http://h?token=SECRET", "`?`"),
            ("http://x:SECRET/@h", "port"),
            ("http://x:1/SECRET@h", "port"),
            ("ftp://x:SECRET@h", "http://"),
            ("127.0.0.1:7070", "http://"),
        ] {
            let error = server(url).unwrap_err().to_string();
            assert!(error.contains(says) && !error.contains("SECRET"), "{url}: {error}");
        }
    }

    #[test]
    fn a_file_of_authorities_holds_some_or_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        for text in ["", "nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            std::fs::write(&file, text).unwrap();
            let error = authorities(&file).unwrap_err().to_string();
            assert!(error.contains("ca.pem") && error.contains("BEGIN CERTIFICATE"), "{error}");
        }
        assert!(authorities(&folder.path().join("nowhere")).unwrap_err().to_string().contains("nowhere"));
    }
}
