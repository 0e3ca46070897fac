//! The TLS that clients are offered: a certificate and its key, read again on SIGHUP.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tokio::sync::watch;

use crate::{postgres::scram, reread::Reread};

/// A certificate or key that cannot be used. Nothing of a key is repeated.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read as PEM.
    #[error("{}: {cause}; expected PEM", file.display())]
    Pem {
        /// Which one.
        file: PathBuf,
        /// Why.
        cause: String,
    },
    /// They do not fit each other.
    #[error("certificate and key cannot be used: {0}")]
    Unfit(#[from] rustls::Error),
}

/// What clients are offered now.
#[derive(Clone, Debug)]
pub struct Offered {
    /// For handshakes.
    pub(super) config: Arc<ServerConfig>,
    /// What a client's proof is bound to.
    pub(super) binding: Arc<[u8]>,
}

impl Offered {
    /// From files of PEM: a chain of certificates, and the first one's key.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn read(certificates: &Path, key: &Path) -> Result<Self, TlsError> {
        let wrong = |file: &Path, cause: String| TlsError::Pem { file: file.to_owned(), cause };
        let chain = CertificateDer::pem_file_iter(certificates)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| wrong(certificates, error.to_string()))?;
        let first = chain.first().ok_or_else(|| wrong(certificates, "it holds no certificate".to_owned()))?;
        let binding = scram::binding(first).into();
        let key = PrivateKeyDer::from_pem_file(key).map_err(|error| wrong(key, error.to_string()))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        // Who begins with TLS at once asks for this; who asks for TLS first need not.
        config.alpn_protocols = vec![b"postgresql".to_vec()];
        Ok(Self { config: Arc::new(config), binding })
    }
}

/// Reads both files again on SIGHUP. What cannot be used changes nothing.
pub async fn reread(certificates: PathBuf, key: PathBuf, offered: watch::Sender<Offered>) {
    let mut reread = Reread::from_now_on();
    loop {
        reread.asked().await;
        match Offered::read(&certificates, &key) {
            Ok(now) => drop(offered.send_replace(now)),
            Err(cause) => tracing::error!(%cause, "the certificate before stays in use"),
        }
    }
}
