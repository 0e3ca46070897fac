//! A session of PostgreSQL's protocol driven by bytes, whatever they are: what client and server say in which pieces,
//! records, releases, refusals, cancels, time.
//!
//! What must hold: no panic; what waits in the session is bounded; whatever is brought at full length is taken; what
//! leaves for the server is what the client has said, but for the session's own questions and batches that were given up;
//! where no question of its own, no key and no error of its own comes between, what leaves for the client is what the
//! server has said.

use std::sync::Arc;

use evenkeel_core::{
    postgres::{
        frames::{HEAD_BYTES, head, put, put_text},
        lexed::Lexed,
        replies::{Refusal, code, put_query, put_sync},
        session::{ClassOf, Classify, Context, Effects, Event, Recording, Session, TEXT_BYTES_MAX, Who},
        startup::packet,
        understood::{Part, Understand, Understood},
    },
    units::ids::ExecutionId,
};
use uuid::Uuid;

/// As `session` reads of a server at most before it decides.
const READ_BYTES_MAX: usize = 64 * 1024;
/// Fillers of a message that says it is long.
const FILLERS_MAX: usize = 3;
const QUESTIONS: [&[u8]; 2] = [b"SELECT pg_catalog.pg_backend_pid()", b"SELECT (EXTRACT(epoch"];

/// Understands by words, and believes it where no `?` stands.
struct Words(Lexed);

impl Understand for Words {
    fn understand(&mut self, text: &str) -> Arc<Understood> {
        let mut understood = Understood::clone(&self.0.understand(text));
        understood.exact = !text.contains('?');
        Arc::new(understood)
    }
}

/// Whatever says so may wait.
struct ByTag;

impl Classify for ByTag {
    fn class(&self, _: &Who, understood: &Understood, _: Option<&Part>) -> ClassOf {
        let batch = understood.tags.get("class").is_some_and(|class| class == "batch");
        if batch {
            ClassOf { name: "batch".into(), hold_ms_max: Some(1_000) }
        } else {
            ClassOf::interactive()
        }
    }
}

struct Driven {
    session: Session,
    enforce: bool,
    now_us: u64,
    ids: u128,
    out: Effects,
    /// Said and not taken.
    of_client: Vec<u8>,
    of_server: Vec<u8>,
    /// Taken, and expected to leave.
    for_server: Vec<u8>,
    for_client: Vec<u8>,
    /// Whether what leaves for the client is what the server has said.
    faithful: bool,
    tickets: u64,
    held: Option<ExecutionId>,
    fillers: usize,
}

/// Drives a session by `data`.
///
/// # Panics
/// When something does not hold.
pub(crate) fn drive(data: &[u8]) {
    let mut bytes = data.iter().copied();
    let setting = bytes.next().unwrap_or_default();
    let recordings = [Recording::Commit, Recording::Strict, Recording::Async, Recording::Off];
    let recording = recordings[usize::from(setting & 3)];
    let session = Session::new(recording, Who::default(), setting & 4 == 0, vec![9; 256]);
    let mut driven = Driven {
        session,
        enforce: setting & 8 == 0,
        now_us: 0,
        ids: 0,
        out: Effects::default(),
        of_client: Vec::new(),
        of_server: Vec::new(),
        for_server: Vec::new(),
        for_client: Vec::new(),
        faithful: false,
        tickets: 0,
        held: None,
        fillers: 0,
    };
    if setting & 16 == 0 {
        driven.log_in();
    }
    while let Some(what) = bytes.next() {
        driven.act(what, &mut bytes);
    }
    driven.session.gone(driven.now_us, &mut driven.out);
    assert!(driven.session.is_over());
    // Whatever comes before a session is a packet, or is none.
    let _ = packet(data);
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out, kind, |bytes| bytes.extend_from_slice(body));
    out
}

/// Messages as clients send them; the last of each text is a tag that lets it wait.
fn of_client(which: u8) -> Vec<u8> {
    let texts =
        ["select 1", "insert into t values (1)", "begin", "commit", "rollback; insert", "copy t from stdin"];
    let text = texts[usize::from(which >> 4) % texts.len()];
    let text = if which & 8 == 0 { text.to_owned() } else { format!("{text} /*class='batch'*/") };
    let mut out = Vec::new();
    match which & 7 {
        0 | 1 => put_query(&mut out, &text),
        2 | 3 => {
            put(&mut out, b'P', |body| {
                put_text(body, "");
                put_text(body, &text);
                body.extend_from_slice(&[0, 0]);
            });
            out.extend(message(b'B', &[0; 8]));
            out.extend(message(b'E', &[0; 5]));
            if which & 1 == 0 {
                put_sync(&mut out);
            }
        }
        4 => put_sync(&mut out),
        5 => out = message(b'H', b""),
        6 => out = message(b'C', b"Sx\0"),
        _ => out = message(b'E', &[0, 0, 0, 0, 1]),
    }
    out
}

/// Messages as servers send them.
fn of_server(which: u8) -> Vec<u8> {
    let error = |severity: &str| {
        let mut body = Vec::new();
        for (field, text) in [(b'V', severity), (b'C', "22012")] {
            body.push(field);
            put_text(&mut body, text);
        }
        body.push(0);
        message(b'E', &body)
    };
    match which % 16 {
        0 => message(b'Z', b"I"),
        1 => message(b'Z', b"T"),
        2 => message(b'Z', b"E"),
        3 => message(b'C', b"INSERT 0 1\0"),
        4 => message(b'C', b"BEGIN\0"),
        5 => message(b'C', b"COMMIT\0"),
        6 => message(b'C', b"ROLLBACK\0"),
        7 => message(b'1', b""),
        8 => message(b'2', b""),
        9 => message(b's', b""),
        10 => error("ERROR"),
        11 => error("FATAL"),
        12 => message(b'G', &[0, 0, 0]),
        13 => message(b'D', &[0, 3, 0, 0, 0, 1, b'0', 0, 0, 0, 1, b'0', 0, 0, 0, 1, b'0']),
        14 => message(b'3', b""),
        _ => [message(b'1', b""), message(b'2', b""), message(b'C', b"SELECT 1\0"), message(b'Z', b"I")]
            .concat(),
    }
}

impl Driven {
    fn step<T>(&mut self, step: impl FnOnce(&mut Session, &mut Context<'_>, &mut Effects) -> T) -> T {
        let ids = &mut self.ids;
        let mut next_id = || {
            *ids += 1;
            ExecutionId(Uuid::from_u128(*ids))
        };
        let mut context = Context {
            now_us: self.now_us,
            enforce: self.enforce,
            understand: &mut Words(Lexed::default()),
            classes: &ByTag,
            next_id: &mut next_id,
        };
        step(&mut self.session, &mut context, &mut self.out)
    }

    /// Until the session is open, as far as it lets that happen.
    fn log_in(&mut self) {
        for said in [
            message(b'R', &3_i32.to_be_bytes()),
            message(b'R', &0_i32.to_be_bytes()),
            message(b'K', &[0, 0, 0, 7, 1, 2, 3, 4]),
            message(b'Z', b"I"),
            message(b'D', &[0, 2, 0, 0, 0, 1, b'7', 0xff, 0xff, 0xff, 0xff]),
            message(b'C', b"SELECT 1\0"),
            message(b'Z', b"I"),
        ] {
            self.of_server.extend(said);
            self.server();
        }
        self.faithful = true;
        self.for_client.clear();
        self.out.to_client.clear();
    }

    fn act(&mut self, what: u8, bytes: &mut impl Iterator<Item = u8>) {
        let mut next = || bytes.next().unwrap_or_default();
        match what % 16 {
            0..=3 => self.of_client.extend(of_client(next())),
            4..=6 => self.of_server.extend(of_server(next())),
            7 => {
                let count = next();
                self.of_client.extend((0..count).map(|_| next()));
            }
            8 => {
                let count = next();
                self.of_server.extend((0..count).map(|_| next()));
            }
            9 if self.fillers < FILLERS_MAX => {
                // A message that says it is long, and a part of that.
                self.fillers += 1;
                let length = [next(), next(), next(), next()];
                let filler = usize::from(next()) * 8 * 1024;
                let side = if next() & 1 == 0 { &mut self.of_client } else { &mut self.of_server };
                side.push(what);
                side.extend(length);
                side.extend(std::iter::repeat_n(b'a', filler));
            }
            10 => {
                let ticket = self.tickets.saturating_sub(u64::from(next() % 4));
                self.step(|session, context, out| session.recorded(ticket, context, out));
            }
            11 => {
                if let Some(execution) = self.held.take() {
                    self.step(|session, context, out| session.released(execution, context, out));
                }
            }
            12 => self.give_up(),
            13 => self.refuse(),
            14 if next() & 1 == 0 => self.session.cancel_begins(),
            14 => self.step(Session::cancel_ended),
            _ => self.now_us += u64::from(next()),
        }
        self.settle();
        self.client();
        self.server();
        self.client();
    }

    /// What the client has said is brought in pieces, as far as it is taken.
    fn client(&mut self) {
        let input = std::mem::take(&mut self.of_client);
        let taken = self.step(|session, context, out| session.client(&input, context, out));
        self.for_server.extend_from_slice(&input[..taken]);
        self.of_client = input[taken..].to_vec();
        let in_vain = taken == 0 && self.of_client.len() >= TEXT_BYTES_MAX + HEAD_BYTES;
        assert!(
            !in_vain || !self.session.needs_more() || !self.session.is_open(),
            "a whole input is brought in vain"
        );
        self.settle();
    }

    fn server(&mut self) {
        let input = std::mem::take(&mut self.of_server);
        let taken = self.step(|session, context, out| session.server(&input, context, out));
        self.for_client.extend_from_slice(&input[..taken]);
        self.of_server = input[taken..].to_vec();
        let in_vain = taken == 0 && self.of_server.len() > READ_BYTES_MAX + HEAD_BYTES;
        assert!(!in_vain || self.session.is_over(), "a whole input of the server's is brought in vain");
        self.settle();
    }

    fn give_up(&mut self) {
        if self.session.held().is_some() {
            self.held = None;
            let refusal = Refusal::new(code::CANCELED, "of the fuzzer");
            let waits = self.session.waiting_bytes();
            self.session.give_up(&refusal, &mut self.out);
            self.dropped(waits);
        }
    }

    fn refuse(&mut self) {
        let waits = self.session.waiting_bytes();
        let refusal = Refusal::new(code::FULL, "of the fuzzer");
        self.session.refuse(&refusal, self.now_us, &mut self.out);
        if !self.session.is_over() && self.session.waiting_bytes() < waits {
            self.dropped(waits);
        }
    }

    /// The last bytes that were taken have been given up: nothing of them leaves but Closes, and a Sync.
    fn dropped(&mut self, waits: usize) {
        self.faithful = false;
        let given_up = self.for_server.split_off(self.for_server.len() - waits);
        let mut rest = given_up.as_slice();
        while let Ok(Some(head)) = head(rest) {
            let (message, behind) = rest.split_at(head.total_bytes);
            if head.kind == b'C' {
                self.for_server.extend_from_slice(message);
            }
            rest = behind;
        }
        put_sync(&mut self.for_server);
    }

    /// What has left is held against what was to leave.
    fn settle(&mut self) {
        assert!(self.session.waiting_bytes() <= 2 * (TEXT_BYTES_MAX + HEAD_BYTES), "too much waits");
        for event in std::mem::take(&mut self.out.events) {
            match event {
                Event::Intend(intent) => {
                    assert_eq!(intent.ticket, self.tickets + 1);
                    self.tickets = intent.ticket;
                }
                Event::Hold(intent, _) => {
                    self.tickets = intent.ticket;
                    self.held = Some(intent.execution);
                }
                Event::Key { .. } | Event::End => self.faithful = false,
                Event::Dropped(_) | Event::Finished(_) | Event::Unrecorded(_) | Event::TooLong => {}
            }
        }
        let sent = std::mem::take(&mut self.out.to_server);
        let mut rest = sent.as_slice();
        while let Some((before, behind)) = around_question(rest) {
            self.left(before);
            self.faithful = false;
            rest = behind;
        }
        self.left(rest);
        let told = std::mem::take(&mut self.out.to_client);
        if self.faithful && !self.session.is_over() {
            assert!(self.for_client.starts_with(&told), "the client is told what the server has not said");
            self.for_client.drain(..told.len());
        }
    }

    fn left(&mut self, sent: &[u8]) {
        assert!(
            self.for_server.starts_with(sent),
            "the server is sent what no client has said: {}",
            sent.escape_ascii()
        );
        self.for_server.drain(..sent.len());
    }
}

/// What stands before and behind a question of the session's own, which no script of a client's asks.
fn around_question(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let asks = |text: &[u8]| QUESTIONS.iter().any(|question| text.starts_with(question));
    let at = (HEAD_BYTES..bytes.len()).find(|at| asks(&bytes[*at..]))? - HEAD_BYTES;
    let (before, from) = bytes.split_at(at);
    let length = head(from).expect("an own question has a length").expect("and is whole").total_bytes;
    Some((before, &from[length..]))
}
