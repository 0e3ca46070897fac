//! What a connection is for: a session, a cancel, or nothing. Before that it may ask for TLS.

use std::{io, net::IpAddr, time::Duration};

use evenkeel_core::postgres::{
    replies::{Refusal, code},
    startup::{BadPacket, CancelKey, Packet, STARTUP_BYTES_MAX, Startup, packet},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

use super::{Wire, wire::Rewound};

/// Longest time before a client has said what it wants, as PostgreSQL's `authentication_timeout`.
pub(super) const LOGIN_MAX: Duration = Duration::from_mins(1);
/// The first byte of a TLS handshake, by which direct TLS is told from a packet.
const TLS_HANDSHAKE: u8 = 0x16;

/// Where a client connects from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum From {
    /// A socket in the file system.
    Socket,
    /// An address.
    Address(IpAddr),
}

impl From {
    /// Whether nothing comes from elsewhere this way.
    pub(super) fn is_here(self) -> bool {
        match self {
            Self::Socket => true,
            Self::Address(address) => address.to_canonical().is_loopback(),
        }
    }
}

impl std::fmt::Display for From {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Socket => f.write_str("[local]"),
            Self::Address(address) => address.to_canonical().fmt(f),
        }
    }
}

/// What a connection wants.
pub(super) enum Wanted {
    /// A session: its startup, that packet's bytes, and what came behind them.
    Session { startup: Startup, packet: Vec<u8>, behind: Vec<u8>, wire: Wire, encrypted: bool },
    /// To cancel.
    Cancel(CancelKey, Wire),
    /// What nobody can be given.
    Refused { refusal: Refusal, wire: Wire },
    /// Nothing: a health check.
    Nothing,
}

/// Why a connection does not become a session.
#[derive(Debug, thiserror::Error)]
pub(super) enum LoginError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Packet(#[from] BadPacket),
    #[error("unencrypted data after the request for TLS")]
    BehindTls,
    #[error("nothing was said within 60 s")]
    Slow,
}

/// Finds out what a connection wants.
pub(super) async fn login<S>(stream: S, tls: Option<&TlsAcceptor>) -> Result<Wanted, LoginError>
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    timeout(LOGIN_MAX, wanted(stream, tls)).await.unwrap_or(Err(LoginError::Slow))
}

async fn wanted<S>(mut stream: S, tls: Option<&TlsAcceptor>) -> Result<Wanted, LoginError>
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let mut bytes = Vec::new();
    let mut asked = [false; 2];
    loop {
        let (packet, length) = match next(&mut stream, &mut bytes, tls.is_some()).await {
            Ok(Some(next)) => next,
            Ok(None) => return Ok(Wanted::Nothing),
            Err(LoginError::Packet(bad)) if !matches!(bad, BadPacket::Length(_)) => {
                return Ok(Wanted::Refused { refusal: bad_packet(&bad), wire: Box::new(stream) });
            }
            Err(error) => return Err(error),
        };
        match packet {
            Next::Packet(Packet::Tls) if !asked[0] => {
                asked[0] = true;
                if bytes.len() > length {
                    return Err(LoginError::BehindTls);
                }
                bytes.clear();
                let Some(tls) = tls else {
                    stream.write_all(b"N").await?;
                    continue;
                };
                stream.write_all(b"S").await?;
                let wire = tls.accept(stream).await?;
                return encrypted(Box::new(wire)).await;
            }
            Next::Handshake => {
                let tls = tls.expect("a handshake is seen only where TLS is spoken");
                let wire = tls.accept(Rewound::new(bytes, stream)).await?;
                // Who begins with TLS must say what for: another protocol's client is not answered (CVE-2021-38604).
                if wire.get_ref().1.alpn_protocol() != Some(b"postgresql") {
                    let message = "direct TLS without the ALPN protocol `postgresql`";
                    return Err(io::Error::new(io::ErrorKind::InvalidData, message).into());
                }
                return encrypted(Box::new(wire)).await;
            }
            Next::Packet(Packet::Gss) if !asked[1] => {
                asked[1] = true;
                bytes.drain(..length);
                stream.write_all(b"N").await?;
            }
            Next::Packet(packet) => return said(packet, length, bytes, Box::new(stream), false),
        }
    }
}

async fn encrypted(mut wire: Wire) -> Result<Wanted, LoginError> {
    let mut bytes = Vec::new();
    match next(&mut wire, &mut bytes, false).await {
        Ok(Some((Next::Packet(packet), length))) => said(packet, length, bytes, wire, true),
        Ok(_) => Ok(Wanted::Nothing),
        Err(LoginError::Packet(bad)) => Ok(Wanted::Refused { refusal: bad_packet(&bad), wire }),
        Err(error) => Err(error),
    }
}

fn said(
    packet: Packet,
    length: usize,
    mut bytes: Vec<u8>,
    wire: Wire,
    encrypted: bool,
) -> Result<Wanted, LoginError> {
    match packet {
        Packet::Cancel(key) => Ok(Wanted::Cancel(key, wire)),
        Packet::Startup(startup) => {
            let behind = bytes.split_off(length);
            Ok(Wanted::Session { startup, packet: bytes, behind, wire, encrypted })
        }
        // A second request of the same kind, or one within TLS: a startup was due.
        Packet::Tls | Packet::Gss => Err(BadPacket::Layout.into()),
    }
}

enum Next {
    Packet(Packet),
    Handshake,
}

/// The next packet; none where the connection ends.
async fn next<S: AsyncRead + Unpin>(
    stream: &mut S,
    bytes: &mut Vec<u8>,
    may_be_tls: bool,
) -> Result<Option<(Next, usize)>, LoginError> {
    loop {
        if may_be_tls && bytes.first() == Some(&TLS_HANDSHAKE) {
            return Ok(Some((Next::Handshake, 0)));
        }
        if let Some((packet, length)) = packet(bytes)? {
            return Ok(Some((Next::Packet(packet), length)));
        }
        let mut room = [0; 1024];
        let most = room.len().min(STARTUP_BYTES_MAX + 1 - bytes.len().min(STARTUP_BYTES_MAX));
        let count = stream.read(&mut room[..most]).await?;
        if count == 0 {
            return if bytes.is_empty() {
                Ok(None)
            } else {
                Err(io::Error::from(io::ErrorKind::UnexpectedEof).into())
            };
        }
        bytes.extend_from_slice(&room[..count]);
    }
}

/// Ends a connection in order, which TLS tells from one that was cut.
pub(super) async fn end(mut wire: Wire) {
    // Who does not listen is not waited for.
    let _ = timeout(Duration::from_secs(5), wire.shutdown()).await;
}

/// Tells a client why it gets no session.
pub(super) async fn refuse(wire: &mut Wire, refusal: &Refusal) {
    let mut bytes = Vec::new();
    refusal.put(&mut bytes, true);
    let told = timeout(Duration::from_secs(5), async {
        wire.write_all(&bytes).await?;
        wire.shutdown().await
    });
    // Who does not listen is not told.
    let _ = told.await;
}

/// The refusal of a packet that cannot be read.
fn bad_packet(bad: &BadPacket) -> Refusal {
    let kind = match bad {
        BadPacket::NoUser => code::NOT_ALLOWED,
        BadPacket::Version(..) => "0A000",
        BadPacket::Length(_) | BadPacket::Layout => code::PROTOCOL,
    };
    Refusal::new(kind, bad.to_string())
}
