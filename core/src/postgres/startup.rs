//! What a client says before its session begins.

use super::frames::{Fields, put_sized, put_text};

/// Longest packet before login, as PostgreSQL has it (`MAX_STARTUP_PACKET_LENGTH`).
pub const STARTUP_BYTES_MAX: usize = 10_000;
/// Longest secret of a cancel key (protocol 3.2).
pub const SECRET_BYTES_MAX: usize = 256;

const CANCEL: u32 = 80_877_102;
const TLS: u32 = 80_877_103;
const GSS: u32 = 80_877_104;

/// A packet before the session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet {
    /// Speak TLS from here on, please.
    Tls,
    /// Speak GSSAPI from here on, please.
    Gss,
    /// Cancel what that backend runs.
    Cancel(CancelKey),
    /// Begin.
    Startup(Startup),
}

/// What opens the door to a backend's cancel.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CancelKey {
    /// The backend.
    pub pid: i32,
    /// Its secret, 4 bytes in protocol 3.0.
    pub secret: Vec<u8>,
}

/// A secret is nobody's business.
impl std::fmt::Debug for CancelKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CancelKey").field("pid", &self.pid).finish_non_exhaustive()
    }
}

impl CancelKey {
    /// The packet that asks for it.
    pub fn put(&self, out: &mut Vec<u8>) {
        put_sized(out, |body| {
            body.extend_from_slice(&CANCEL.to_be_bytes());
            body.extend_from_slice(&self.pid.to_be_bytes());
            body.extend_from_slice(&self.secret);
        });
    }
}

/// A session's beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Startup {
    /// Major and minor version: 3.0, 3.2.
    pub version: (u16, u16),
    /// Parameters in their order.
    pub parameters: Vec<(String, String)>,
}

/// A packet that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPacket {
    /// Its length is none that a packet has.
    #[error("invalid length of startup packet: {0}")]
    Length(u32),
    /// It is cut, or holds what is no text.
    #[error("invalid startup packet layout: expected terminator as last byte")]
    Layout,
    /// A protocol that is not spoken here.
    #[error("unsupported frontend protocol {0}.{1}: server supports 3.0 to 3.2")]
    Version(u16, u16),
    /// Nobody to begin a session for.
    #[error("no PostgreSQL user name specified in startup packet")]
    NoUser,
}

/// The packet at the beginning of `bytes`, and its length; none while it is not whole.
///
/// # Errors
/// [`BadPacket`].
pub fn packet(bytes: &[u8]) -> Result<Option<(Packet, usize)>, BadPacket> {
    let Some((length, rest)) = bytes.split_first_chunk() else { return Ok(None) };
    let length = u32::from_be_bytes(*length);
    let total = length as usize;
    if !(8..=STARTUP_BYTES_MAX).contains(&total) {
        return Err(BadPacket::Length(length));
    }
    let Some(body) = rest.get(..total - 4) else { return Ok(None) };
    let (code, body) = body.split_first_chunk().expect("8 bytes at least");
    let packet = match u32::from_be_bytes(*code) {
        TLS => Packet::Tls,
        GSS => Packet::Gss,
        CANCEL => Packet::Cancel(cancel(body)?),
        version => Packet::Startup(startup(((version >> 16) as u16, version as u16), body)?),
    };
    Ok(Some((packet, total)))
}

fn cancel(mut body: &[u8]) -> Result<CancelKey, BadPacket> {
    let mut fields = Fields(body);
    let pid = fields.i32().ok_or(BadPacket::Layout)?;
    body = fields.0;
    if body.is_empty() || body.len() > SECRET_BYTES_MAX {
        return Err(BadPacket::Layout);
    }
    Ok(CancelKey { pid, secret: body.to_vec() })
}

fn startup((major, minor): (u16, u16), body: &[u8]) -> Result<Startup, BadPacket> {
    if major != 3 {
        return Err(BadPacket::Version(major, minor));
    }
    let mut fields = Fields(body);
    let mut parameters = Vec::new();
    loop {
        let name = fields.text().ok_or(BadPacket::Layout)?;
        if name.is_empty() {
            break;
        }
        let value = fields.text().ok_or(BadPacket::Layout)?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        parameters.push((text(name), text(value)));
    }
    if !fields.0.is_empty() {
        return Err(BadPacket::Layout);
    }
    let startup = Startup { version: (major, minor), parameters };
    if startup.user().is_empty() { Err(BadPacket::NoUser) } else { Ok(startup) }
}

impl Startup {
    /// A parameter; of several with that name the last counts.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Who wants to begin; nothing where nobody is named.
    pub fn user(&self) -> &str {
        self.parameter("user").unwrap_or_default()
    }

    /// Where; by default the database that is named like the user.
    pub fn database(&self) -> &str {
        self.parameter("database").filter(|name| !name.is_empty()).unwrap_or(self.user())
    }

    /// Whether it is no session of statements, but a stream of the write-ahead log.
    pub fn is_replication(&self) -> bool {
        let off = ["", "0", "false", "off", "no", "f", "n"];
        self.parameter("replication").is_some_and(|said| !off.contains(&said.to_ascii_lowercase().as_str()))
    }

    /// The packet.
    pub fn put(&self, out: &mut Vec<u8>) {
        put_sized(out, |body| {
            let (major, minor) = self.version;
            body.extend_from_slice(&major.to_be_bytes());
            body.extend_from_slice(&minor.to_be_bytes());
            for (name, value) in &self.parameters {
                put_text(body, name);
                put_text(body, value);
            }
            body.push(0);
        });
    }
}

/// The packet that asks for TLS.
pub fn put_tls_request(out: &mut Vec<u8>) {
    put_sized(out, |body| body.extend_from_slice(&TLS.to_be_bytes()));
}

/// A startup packet as it came, with `more` parameters behind its own.
pub fn put_extended(out: &mut Vec<u8>, packet: &[u8], more: &[(String, String)]) {
    put_sized(out, |body| {
        body.extend_from_slice(&packet[4..packet.len() - 1]);
        for (name, value) in more {
            put_text(body, name);
            put_text(body, value);
        }
        body.push(0);
    });
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sized(body: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        put_sized(&mut out, |bytes| bytes.extend_from_slice(body));
        out
    }

    #[test]
    fn requests_are_told_apart_and_need_all_of_their_bytes() {
        let tls = sized(&TLS.to_be_bytes());
        assert_eq!(packet(&tls), Ok(Some((Packet::Tls, 8))));
        assert_eq!(packet(&tls[..7]), Ok(None));
        assert_eq!(packet(&sized(&GSS.to_be_bytes())), Ok(Some((Packet::Gss, 8))));
        let key = CancelKey { pid: 7, secret: vec![1; 32] };
        let mut out = Vec::new();
        key.put(&mut out);
        assert_eq!(packet(&out), Ok(Some((Packet::Cancel(key), 44))));
        assert_eq!(packet(b"GET / HTTP/1.1\r\n\r\n"), Err(BadPacket::Length(0x4745_5420)));
        assert_eq!(packet(&sized(&[0, 2, 0, 0])), Err(BadPacket::Version(2, 0)));
        assert_eq!(packet(&sized(&[0, 3, 0, 0, 0])), Err(BadPacket::NoUser));
        assert_eq!(packet(&sized(b"\0\x03\0\0user\0a")), Err(BadPacket::Layout));
    }

    proptest! {
        #[test]
        fn a_startup_is_read_as_it_was_written(
            minor in 0u16..3,
            parameters in prop::collection::vec(("[a-z_]{1,20}", "[^\0]{0,40}"), 0..8),
            user in "[^\0]{1,20}",
        ) {
            let mut parameters = parameters;
            parameters.push(("user".to_owned(), user.clone()));
            let startup = Startup { version: (3, minor), parameters };
            let mut out = Vec::new();
            startup.put(&mut out);
            let whole = out.len();
            let mut same = Vec::new();
            put_extended(&mut same, &out, &[]);
            prop_assert_eq!(&same, &out);
            prop_assert_eq!(startup.user(), user);
            prop_assert_eq!(packet(&out), Ok(Some((Packet::Startup(startup), whole))));
        }

        #[test]
        fn no_packet_is_too_hostile(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = packet(&bytes);
        }
    }
}
