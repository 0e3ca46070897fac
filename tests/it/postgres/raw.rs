//! A client that speaks the protocol by hand, so that tests decide what goes together and what does not.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use evenkeel_core::postgres::{
    frames::{Fields, HEAD_BYTES, head, put, put_text},
    replies::{put_query, put_sync},
    startup::{CancelKey, Startup},
};

use crate::support::PATIENCE;

/// See the module.
pub(super) struct Raw {
    stream: TcpStream,
    read: Vec<u8>,
    pub(super) key: CancelKey,
    address: SocketAddr,
}

/// A message: its type and its body.
pub(super) type Message = (char, Vec<u8>);

impl Raw {
    /// A session of user and database `postgres`, with an application name.
    pub(super) fn connect(address: SocketAddr, application: &str) -> Self {
        Self::try_connect(address, application).unwrap()
    }

    /// The same; why there is none.
    pub(super) fn try_connect(address: SocketAddr, application: &str) -> Result<Self, String> {
        let stream = TcpStream::connect(address).map_err(|error| error.to_string())?;
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        let key = CancelKey { pid: 0, secret: Vec::new() };
        let mut raw = Self { stream, read: Vec::new(), key, address };
        let mut bytes = Vec::new();
        let parameters = [("user", "postgres"), ("database", "postgres"), ("application_name", application)];
        let parameters = parameters.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        Startup { version: (3, 0), parameters }.put(&mut bytes);
        raw.try_send(&bytes).ok_or("the connection is closed")?;
        for (kind, body) in raw.until_ready() {
            match kind {
                'E' => return Err(String::from_utf8_lossy(&body).into_owned()),
                '-' => return Err("the connection is closed".to_owned()),
                'K' => {
                    let mut fields = Fields(&body);
                    raw.key = CancelKey { pid: fields.i32().unwrap(), secret: fields.0.to_vec() };
                }
                _ => {}
            }
        }
        Ok(raw)
    }

    pub(super) fn send(&mut self, bytes: &[u8]) {
        self.try_send(bytes).unwrap();
    }

    /// The same where the other side may be gone.
    pub(super) fn try_send(&mut self, bytes: &[u8]) -> Option<()> {
        self.stream.write_all(bytes).ok()
    }

    /// Sends a text, and does not wait.
    pub(super) fn ask(&mut self, text: &str) {
        let mut bytes = Vec::new();
        put_query(&mut bytes, text);
        self.send(&bytes);
    }

    /// The same where the other side may be gone.
    pub(super) fn try_ask(&mut self, text: &str) -> Option<()> {
        let mut bytes = Vec::new();
        put_query(&mut bytes, text);
        self.try_send(&bytes)
    }

    /// Sends a text, and reads what it returns.
    pub(super) fn query(&mut self, text: &str) -> Vec<Message> {
        self.ask(text);
        self.until_ready()
    }

    /// The next message.
    pub(super) fn next(&mut self) -> Message {
        loop {
            if let Some(head) = head(&self.read).unwrap().filter(|head| head.total_bytes <= self.read.len()) {
                let message: Vec<_> = self.read.drain(..head.total_bytes).collect();
                return (char::from(head.kind), message[HEAD_BYTES..].to_vec());
            }
            let mut room = [0; 4096];
            let count = match self.stream.read(&mut room) {
                Err(error) if error.kind() == ErrorKind::ConnectionReset => 0,
                // By a stop of the whole test, as ^Z: reads with a limit end then.
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                read => read.expect("an answer in time"),
            };
            if count == 0 {
                return ('-', Vec::new());
            }
            self.read.extend_from_slice(&room[..count]);
        }
    }

    /// All messages up to `ReadyForQuery` or the end.
    pub(super) fn until_ready(&mut self) -> Vec<Message> {
        let mut all = Vec::new();
        loop {
            all.push(self.next());
            if matches!(all.last(), Some(('Z' | '-', _))) {
                return all;
            }
        }
    }

    /// Whether nothing comes for a while.
    pub(super) fn is_silent(&mut self, for_ms: u64) -> bool {
        self.stream.set_read_timeout(Some(Duration::from_millis(for_ms))).unwrap();
        let silent = self.stream.peek(&mut [0; 1]).is_err();
        self.stream.set_read_timeout(Some(PATIENCE)).unwrap();
        silent && self.read.is_empty()
    }

    /// Asks to cancel what runs, on a connection of its own.
    pub(super) fn cancel(&self) {
        let mut bytes = Vec::new();
        self.key.put(&mut bytes);
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.write_all(&bytes).unwrap();
        // Closed when it has been taken.
        let _ = stream.read(&mut [0; 1]);
    }
}

/// Types of messages.
pub(super) fn kinds(messages: &[Message]) -> String {
    messages.iter().map(|(kind, _)| *kind).collect()
}

/// The code of the error among them.
pub(super) fn sqlstate(messages: &[Message]) -> String {
    let Some((_, body)) = messages.iter().find(|(kind, _)| *kind == 'E') else { return String::new() };
    let code = body.split(|byte| *byte == 0).find(|field| field.first() == Some(&b'C'));
    code.map(|code| String::from_utf8_lossy(&code[1..]).into_owned()).unwrap_or_default()
}

/// First columns of the rows among them.
pub(super) fn rows(messages: &[Message]) -> Vec<String> {
    let row = |body: &Vec<u8>| {
        let mut fields = Fields(body);
        fields.u16()?;
        let length = usize::try_from(fields.i32()?).ok()?;
        Some(String::from_utf8_lossy(fields.bytes(length)?).into_owned())
    };
    messages.iter().filter(|(kind, _)| *kind == 'D').filter_map(|(_, body)| row(body)).collect()
}

pub(super) fn message(kind: u8, body: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out, kind, body);
    out
}

pub(super) fn parse(name: &str, text: &str) -> Vec<u8> {
    message(b'P', |body| {
        put_text(body, name);
        put_text(body, text);
        body.extend_from_slice(&[0, 0]);
    })
}

pub(super) fn bind(name: &str) -> Vec<u8> {
    message(b'B', |body| {
        put_text(body, "");
        put_text(body, name);
        body.extend_from_slice(&[0; 6]);
    })
}

pub(super) fn describe(name: &str) -> Vec<u8> {
    message(b'D', |body| {
        body.push(b'S');
        put_text(body, name);
    })
}

pub(super) fn execute() -> Vec<u8> {
    message(b'E', |body| body.extend_from_slice(&[0; 5]))
}

pub(super) fn flush() -> Vec<u8> {
    message(b'H', |_| {})
}

pub(super) fn sync() -> Vec<u8> {
    let mut out = Vec::new();
    put_sync(&mut out);
    out
}
