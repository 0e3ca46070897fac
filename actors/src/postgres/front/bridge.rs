//! Ends SCRAM where both sides speak TLS: the client proves to the front, and the front to the database.

use std::{io, time::Duration};

use evenkeel_core::postgres::{
    frames::{Fields, HEAD_BYTES, head, put, put_text},
    replies::{Refusal, code},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::timeout,
};
use uuid::Uuid;

use super::{Wire, login::LOGIN_MAX, verifiers::Verifiers};
use crate::postgres::scram::{Checking, PLAIN, PLUS, Proving, ScramError, Verifier};

/// Longest message of a login, as PostgreSQL has it (`PG_MAX_AUTH_TOKEN_LENGTH`).
const MESSAGE_BYTES_MAX: usize = 65_535;
/// `AuthenticationSASL`, `…Continue`, `…Final`.
const SASL: i32 = 10;
const CONTINUE: i32 = 11;
const FINAL: i32 = 12;

/// How a login goes on.
pub(super) enum Login {
    /// As usual; the database has said this so far.
    Passes(Vec<u8>),
    /// The client is who it says, and both sides know; the client has been told.
    Proven,
}

/// Why a login does not go on.
#[derive(Debug)]
pub(super) enum Stopped {
    /// The client is told.
    Refused(Refusal),
    /// Nobody can be told.
    Gone(io::Error),
}

impl From<io::Error> for Stopped {
    fn from(error: io::Error) -> Self {
        Self::Gone(error)
    }
}

/// Both sides of a login, each with what its proof is bound to.
pub(super) struct Bridge<'a> {
    pub(super) client: &'a mut Wire,
    pub(super) client_binding: &'a [u8],
    pub(super) server: &'a mut Wire,
    pub(super) server_binding: &'a [u8],
    pub(super) user: &'a str,
    pub(super) verifiers: &'a Verifiers,
}

impl Bridge<'_> {
    /// Begins the login with the startup's packet, and follows it until it passes, or is proven.
    pub(super) async fn login(mut self, startup: &[u8]) -> Result<Login, Stopped> {
        let slow = || Stopped::Refused(Refusal::new(code::NOT_NOW, "the login took longer than 60 s"));
        timeout(LOGIN_MAX, self.follow(startup))
            .await
            .unwrap_or_else(|_: tokio::time::error::Elapsed| Err(slow()))
    }

    async fn follow(&mut self, startup: &[u8]) -> Result<Login, Stopped> {
        self.server.write_all(startup).await?;
        self.server.flush().await?;
        let mut so_far = Vec::new();
        loop {
            let message = read(self.server).await?;
            let mut fields = Fields(&message[HEAD_BYTES..]);
            if message[0] == b'R' && fields.i32() == Some(SASL) {
                self.client.write_all(&so_far).await?;
                self.prove().await?;
                return Ok(Login::Proven);
            }
            let goes_on = matches!(message[0], b'v' | b'N');
            so_far.extend_from_slice(&message);
            if !goes_on {
                return Ok(Login::Passes(so_far));
            }
        }
    }

    async fn prove(&mut self) -> Result<(), Stopped> {
        let known = self.verifiers.of(self.user).await.map_err(Stopped::Refused)?;
        let verifier = known.unwrap_or_else(|| Verifier::of_nobody(self.user, self.verifiers.secret()));
        let user = self.user;
        let wrong = |cause: ScramError| refused(user, cause);
        // The client.
        let offered = |body: &mut Vec<u8>| {
            body.extend_from_slice(&SASL.to_be_bytes());
            for name in [PLUS, PLAIN, ""] {
                put_text(body, name);
            }
        };
        tell(self.client, b'R', offered).await?;
        let first = read_password(self.client).await?;
        let (mechanism, first) = initial(&first).ok_or_else(|| wrong(ScramError::Malformed))?;
        let (checking, answer) = Checking::begin(&verifier, mechanism, first, &nonce()).map_err(wrong)?;
        tell(self.client, b'R', |body| said(body, CONTINUE, &answer)).await?;
        let last = read_password(self.client).await?;
        let last = str::from_utf8(&last).map_err(|_| wrong(ScramError::Malformed))?;
        let shown = checking.end(last, self.client_binding).map_err(wrong)?;
        // The database.
        let (proving, first) = Proving::begin(&verifier, &shown, self.server_binding, &nonce());
        let initial = |body: &mut Vec<u8>| {
            put_text(body, PLUS);
            body.extend_from_slice(&(first.len() as u32).to_be_bytes());
            body.extend_from_slice(first.as_bytes());
        };
        tell(self.server, b'p', initial).await?;
        let answer = self.answer(CONTINUE).await?;
        let (last, expected) = proving.prove(&answer).map_err(wrong)?;
        tell(self.server, b'p', |body| body.extend_from_slice(last.as_bytes())).await?;
        let found = self.answer(FINAL).await?;
        if found != expected {
            let message = "the database does not know the verifier that evenkeel knows";
            return Err(Stopped::Refused(Refusal::new(code::PASSWORD, message)));
        }
        // What the database says next is AuthenticationOk, and is the client's.
        Ok(tell(self.client, b'R', |body| said(body, FINAL, &shown.server_final)).await?)
    }

    /// What the database says in its exchange. Its error is the client's.
    async fn answer(&mut self, expected: i32) -> Result<String, Stopped> {
        let message = read(self.server).await?;
        let mut fields = Fields(&message[HEAD_BYTES..]);
        if message[0] == b'R' && fields.i32() == Some(expected) {
            return Ok(String::from_utf8_lossy(fields.0).into_owned());
        }
        if message[0] == b'E' {
            self.client.write_all(&message).await?;
            return Err(Stopped::Gone(io::Error::other("the database has refused the login")));
        }
        Err(Stopped::Refused(refusal(self.user)))
    }
}

fn refused(user: &str, cause: ScramError) -> Stopped {
    tracing::debug!(user, %cause, "a proof was not taken");
    match cause {
        ScramError::Malformed => Stopped::Refused(Refusal::new(code::PROTOCOL, cause.to_string())),
        ScramError::Binding | ScramError::Proof => Stopped::Refused(refusal(user)),
    }
}

fn refusal(user: &str) -> Refusal {
    Refusal::new(code::PASSWORD, format!("password authentication failed for user \"{user}\""))
}

fn nonce() -> String {
    Uuid::new_v4().simple().to_string()
}

fn said(body: &mut Vec<u8>, what: i32, text: &str) {
    body.extend_from_slice(&what.to_be_bytes());
    body.extend_from_slice(text.as_bytes());
}

/// `SASLInitialResponse`: the mechanism, and the first message.
fn initial(body: &[u8]) -> Option<(&str, &str)> {
    let mut fields = Fields(body);
    let mechanism = str::from_utf8(fields.text()?).ok()?;
    let length = usize::try_from(fields.i32()?).ok()?;
    Some((mechanism, str::from_utf8(fields.bytes(length)?).ok()?))
}

async fn tell(wire: &mut Wire, kind: u8, body: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
    let mut out = Vec::new();
    put(&mut out, kind, body);
    wire.write_all(&out).await?;
    wire.flush().await
}

async fn read_password(client: &mut Wire) -> Result<Vec<u8>, Stopped> {
    let message = read(client).await?;
    if message[0] == b'p' {
        return Ok(message[HEAD_BYTES..].to_vec());
    }
    let text = format!("expected SASL response, got message type {}", message[0]);
    Err(Stopped::Refused(Refusal::new(code::PROTOCOL, text)))
}

/// One message, and nothing behind it.
async fn read(wire: &mut Wire) -> io::Result<Vec<u8>> {
    let mut message = vec![0; HEAD_BYTES];
    wire.read_exact(&mut message).await?;
    let head = head(&message).map_err(io::Error::other)?.expect("a head is whole");
    if head.total_bytes > MESSAGE_BYTES_MAX {
        return Err(io::Error::other("a message of a login is too long"));
    }
    message.resize(head.total_bytes, 0);
    wire.read_exact(&mut message[HEAD_BYTES..]).await?;
    Ok(message)
}

/// How long a source of verifiers may take.
pub(super) const ASK_MAX: Duration = Duration::from_secs(5);
