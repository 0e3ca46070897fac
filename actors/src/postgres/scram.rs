//! SCRAM-SHA-256 where TLS ends at the front on both sides (RFC 5802, RFC 7677, RFC 5929).
//!
//! A client binds its proof to the certificate that it sees, which is the front's, and the database to its own. So the
//! front checks the client's proof against the user's verifier, takes the client's key from that proof, and proves with
//! that key to the database. No password is known here.
//!
//! ```text
//! ClientSignature = HMAC(StoredKey, AuthMessage)      ClientProof = ClientKey XOR ClientSignature
//! StoredKey = H(ClientKey)                            ServerSignature = HMAC(ServerKey, AuthMessage)
//! ```

use std::str::FromStr;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

/// The mechanism without a binding to the channel.
pub(super) const PLAIN: &str = "SCRAM-SHA-256";
/// The mechanism with one.
pub(super) const PLUS: &str = "SCRAM-SHA-256-PLUS";
/// The binding that PostgreSQL has.
const BINDING: &str = "p=tls-server-end-point,,";

type Key = [u8; 32];

/// An exchange that fails. It repeats nothing of what was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ScramError {
    #[error("a malformed SCRAM message")]
    Malformed,
    #[error("the SCRAM channel binding does not fit")]
    Binding,
    #[error("the proof is wrong")]
    Proof,
}

/// What a database keeps of a password (`pg_authid.rolpassword`).
#[derive(Clone, PartialEq, Eq)]
pub struct Verifier {
    iterations: u32,
    salt: String,
    stored_key: Key,
    server_key: Key,
}

/// It opens nothing, but lets passwords be guessed.
impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Verifier(…)")
    }
}

/// A text that is no verifier, which is not repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "no verifier: expected SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey, as in pg_authid.rolpassword"
)]
pub struct NoVerifier;

impl FromStr for Verifier {
    type Err = NoVerifier;

    fn from_str(text: &str) -> Result<Self, NoVerifier> {
        let parsed = || {
            let [PLAIN, salted, keys] = text.split('$').collect::<Vec<_>>()[..] else { return None };
            let (iterations, salt) = salted.split_once(':')?;
            let (stored, server) = keys.split_once(':')?;
            STANDARD.decode(salt).ok()?;
            Some(Self {
                iterations: iterations.parse().ok()?,
                salt: salt.to_owned(),
                stored_key: key(stored)?,
                server_key: key(server)?,
            })
        };
        parsed().ok_or(NoVerifier)
    }
}

impl Verifier {
    /// One that no password fits, of a user that is not known: what the client sees tells nothing.
    pub(super) fn of_nobody(user: &str, secret: &[u8]) -> Self {
        let salt = hmac(secret, user.as_bytes());
        Self {
            iterations: 4096,
            salt: STANDARD.encode(&salt[..16]),
            stored_key: hmac(secret, b"stored"),
            server_key: hmac(secret, b"server"),
        }
    }
}

fn key(text: &str) -> Option<Key> {
    STANDARD.decode(text).ok()?.try_into().ok()
}

fn hmac(key: &[u8], message: &[u8]) -> Key {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length");
    mac.update(message);
    mac.finalize().into_bytes().into()
}

fn xor(one: &Key, other: &Key) -> Key {
    std::array::from_fn(|at| one[at] ^ other[at])
}

/// The front's side towards a client.
pub(super) struct Checking<'a> {
    verifier: &'a Verifier,
    header: String,
    auth: String,
    nonce: String,
}

/// What a client that is who it says has shown.
pub(super) struct Shown {
    client_key: Key,
    /// The last message, which shows the client that the front knows the verifier.
    pub(super) server_final: String,
}

impl<'a> Checking<'a> {
    /// Takes the client's first message; the front's answer.
    pub(super) fn begin(
        verifier: &'a Verifier,
        mechanism: &str,
        first: &str,
        own_nonce: &str,
    ) -> Result<(Self, String), ScramError> {
        let bare_at = first.match_indices(',').nth(1).ok_or(ScramError::Malformed)?.0 + 1;
        let (header, bare) = first.split_at(bare_at);
        // Both sides can bind: who does not must say that it cannot, and not that the other side cannot.
        match (mechanism, header) {
            (PLUS, BINDING) | (PLAIN, "n,,") => {}
            (PLAIN | PLUS, _) => return Err(ScramError::Binding),
            _ => return Err(ScramError::Malformed),
        }
        let client_nonce =
            bare.split(',').find_map(|part| part.strip_prefix("r=")).ok_or(ScramError::Malformed)?;
        let nonce = format!("{client_nonce}{own_nonce}");
        let answer = format!("r={nonce},s={},i={}", verifier.salt, verifier.iterations);
        let auth = format!("{bare},{answer}");
        Ok((Self { verifier, header: header.to_owned(), auth, nonce }, answer))
    }

    /// Takes the client's last message. `binding`: what of the front's certificate the client has to have seen.
    pub(super) fn end(self, last: &str, binding: &[u8]) -> Result<Shown, ScramError> {
        let (without_proof, proof) = last.rsplit_once(",p=").ok_or(ScramError::Malformed)?;
        let proof = key(proof).ok_or(ScramError::Malformed)?;
        let bound = if self.header == BINDING { binding } else { &[] };
        let bound = STANDARD.encode([self.header.as_bytes(), bound].concat());
        if without_proof != format!("c={bound},r={}", self.nonce) {
            return Err(ScramError::Binding);
        }
        let auth = format!("{},{without_proof}", self.auth);
        let client_key = xor(&proof, &hmac(&self.verifier.stored_key, auth.as_bytes()));
        let stored: Key = Sha256::digest(client_key).into();
        // Both are hashes of what a guesser does not know: how long they take to differ tells nothing.
        if stored != self.verifier.stored_key {
            return Err(ScramError::Proof);
        }
        let signature = hmac(&self.verifier.server_key, auth.as_bytes());
        Ok(Shown { client_key, server_final: format!("v={}", STANDARD.encode(signature)) })
    }
}

/// The front's side towards the database.
pub(super) struct Proving<'a> {
    verifier: &'a Verifier,
    shown: &'a Shown,
    bound: String,
    bare: String,
}

impl<'a> Proving<'a> {
    /// The mechanism, and the front's first message. `binding`: what of the database's certificate the front has seen.
    pub(super) fn begin(
        verifier: &'a Verifier,
        shown: &'a Shown,
        binding: &[u8],
        nonce: &str,
    ) -> (Self, String) {
        let bare = format!("n=,r={nonce}");
        let first = format!("{BINDING}{bare}");
        let bound = STANDARD.encode([BINDING.as_bytes(), binding].concat());
        (Self { verifier, shown, bound, bare }, first)
    }

    /// Takes the database's first message; the front's last one, and what the database's last one has to be.
    pub(super) fn prove(self, first: &str) -> Result<(String, String), ScramError> {
        let nonce = first.split(',').find_map(|part| part.strip_prefix("r=")).ok_or(ScramError::Malformed)?;
        let without_proof = format!("c={},r={nonce}", self.bound);
        let auth = format!("{},{first},{without_proof}", self.bare);
        let stored: Key = Sha256::digest(self.shown.client_key).into();
        let proof = xor(&self.shown.client_key, &hmac(&stored, auth.as_bytes()));
        let signature = hmac(&self.verifier.server_key, auth.as_bytes());
        let last = format!("{without_proof},p={}", STANDARD.encode(proof));
        Ok((last, format!("v={}", STANDARD.encode(signature))))
    }
}

/// What a proof is bound to: the certificate's hash, by the algorithm of its own signature, where that is stronger than
/// SHA-1 (RFC 5929 §4.1).
pub(super) fn binding(certificate: &[u8]) -> Vec<u8> {
    match signature_algorithm(certificate) {
        // sha384WithRSAEncryption, ecdsa-with-SHA384.
        Some(b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c" | b"\x2a\x86\x48\xce\x3d\x04\x03\x03") => {
            sha2::Sha384::digest(certificate).to_vec()
        }
        // sha512WithRSAEncryption, ecdsa-with-SHA512.
        Some(b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d" | b"\x2a\x86\x48\xce\x3d\x04\x03\x04") => {
            sha2::Sha512::digest(certificate).to_vec()
        }
        _ => Sha256::digest(certificate).to_vec(),
    }
}

/// Certificate ::= SEQUENCE { tbsCertificate SEQUENCE, signatureAlgorithm SEQUENCE { OBJECT IDENTIFIER, … }, … }
fn signature_algorithm(certificate: &[u8]) -> Option<&[u8]> {
    let (inside, _) = der(certificate)?;
    let (_, behind) = der(inside)?;
    let (algorithm, _) = der(behind)?;
    Some(der(algorithm)?.0)
}

/// The content of the value at the beginning, and what comes behind it (X.690 §8.1).
fn der(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let [_tag, length, rest @ ..] = bytes else { return None };
    let (length, rest) = if *length < 0x80 {
        (usize::from(*length), rest)
    } else {
        let (number, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
        let more = |sum: usize, byte: &u8| sum.checked_mul(256)?.checked_add(usize::from(*byte));
        (number.iter().try_fold(0, more)?, rest)
    };
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7677 §3: user `user`, password `pencil`.
    const VERIFIER: &str = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$\
        WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";

    #[test]
    fn the_exchange_of_the_rfc_is_taken() {
        let verifier: Verifier = VERIFIER.parse().expect("a verifier");
        let own = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let (checking, answer) =
            Checking::begin(&verifier, PLAIN, "n,,n=user,r=rOprNGfwEbeRWgbNEkqO", own).unwrap();
        assert_eq!(answer, format!("r=rOprNGfwEbeRWgbNEkqO{own},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"));
        let last =
            format!("c=biws,r=rOprNGfwEbeRWgbNEkqO{own},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
        let shown = checking.end(&last, b"").unwrap();
        assert_eq!(shown.server_final, "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    }

    #[test]
    fn who_has_shown_the_key_can_prove_to_another() {
        let verifier: Verifier = VERIFIER.parse().expect("a verifier");
        let (checking, _) = Checking::begin(
            &verifier,
            PLAIN,
            "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
            "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
        )
        .unwrap();
        let last = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
        let shown = checking.end(last, b"").unwrap();
        // The database's side is the same check, bound to its own certificate.
        let (proving, first) = Proving::begin(&verifier, &shown, b"of the database", "abc");
        let (checking, answer) = Checking::begin(&verifier, PLUS, &first, "def").unwrap();
        let (last, expected) = proving.prove(&answer).unwrap();
        assert_eq!(checking.end(&last, b"of the database").unwrap().server_final, expected);
    }

    #[test]
    fn a_wrong_binding_or_proof_is_refused() {
        let verifier: Verifier = VERIFIER.parse().expect("a verifier");
        let begin = |mechanism, first| Checking::begin(&verifier, mechanism, first, "x").map(|_| ());
        assert_eq!(begin(PLAIN, "y,,n=,r=a"), Err(ScramError::Binding), "both sides can");
        assert_eq!(begin(PLUS, "n,,n=,r=a"), Err(ScramError::Binding));
        assert_eq!(begin("OTHER", "n,,n=,r=a"), Err(ScramError::Malformed));
        assert_eq!(begin(PLAIN, "n,"), Err(ScramError::Malformed));
        let (checking, _) = Checking::begin(&verifier, PLAIN, "n,,n=,r=a", "x").unwrap();
        let last = format!("c=biws,r=ax,p={}", STANDARD.encode([7; 32]));
        assert_eq!(checking.end(&last, b"").err(), Some(ScramError::Proof));
        let nobody = Verifier::of_nobody("a", b"secret");
        assert!(nobody == Verifier::of_nobody("a", b"secret"), "the salt of a user stays");
        assert!("SCRAM-SHA-256$4096:x".parse::<Verifier>().is_err());
        assert!("md5d41d8cd98f00b204e9800998ecf8427e".parse::<Verifier>().is_err());
    }
}
