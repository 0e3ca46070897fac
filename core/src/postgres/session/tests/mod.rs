//! Sessions against a server that is written down.

mod bytes;
mod holds;
mod outcomes;
mod records;

use std::{collections::BTreeMap, sync::Arc};

use uuid::Uuid;

use super::{
    ClassOf, Classify, Context, Effects, Event, ExecutionId, Expect, Finished, Intent, Recording, Session,
    Who,
};
use crate::{
    postgres::{
        frames::{put, put_text},
        replies::{Refusal, code, put_query, put_sync},
        understood::{Kind, Part, Understand, Understood},
    },
    units::ids::QueryId,
};

/// Understands statements by their first word; a text with `?` not at all.
struct Words;

impl Understand for Words {
    fn understand(&mut self, text: &str) -> Arc<Understood> {
        let exact = !text.contains('?');
        let tags: BTreeMap<_, _> = ["class", "truth"]
            .into_iter()
            .filter_map(|key| {
                let (_, rest) = text.split_once(&format!("{key}='"))?;
                Some((key.to_owned(), rest.split_once('\'')?.0.to_owned()))
            })
            .collect();
        let bare = text.split("/*").next().unwrap_or_default();
        let parts = bare.split(';').map(str::trim).filter(|part| !part.is_empty()).map(|part| {
            let kind = match part.split_whitespace().next().unwrap_or_default() {
                "select" | "sure" => Kind::Select,
                "insert" => Kind::Insert,
                "begin" => Kind::Begin,
                "commit" => Kind::Commit,
                "rollback" => Kind::Rollback,
                "call" => Kind::Procedure,
                "copy" => Kind::Copy,
                "lock" => Kind::Lock,
                _ => Kind::Other,
            };
            let query = QueryId(Uuid::new_v5(&Uuid::nil(), part.as_bytes()));
            Part { kind, query, text: part.into(), sure_read: part.starts_with("sure") }
        });
        Arc::new(Understood { parts: parts.collect(), exact, tags, ..Understood::default() })
    }
}

/// Everything that says so is of class `batch`, held for a minute at most.
struct ByTag;

impl Classify for ByTag {
    fn class(&self, who: &Who, understood: &Understood, _part: Option<&Part>) -> ClassOf {
        let batch = who.application.starts_with("batch")
            || understood.tags.get("class").is_some_and(|is| is == "batch");
        if batch {
            ClassOf { name: "batch".into(), hold_ms_max: Some(60_000) }
        } else {
            ClassOf::interactive()
        }
    }
}

/// A session, and what came out of it.
struct Lab {
    session: Session,
    enforce: bool,
    now_us: u64,
    ids: u128,
    out: Effects,
    /// What the client has sent and the session has not taken.
    rest: Vec<u8>,
}

impl Lab {
    /// Of a session that is open.
    fn open(recording: Recording) -> Self {
        let mut lab = Self::login(recording, false);
        lab.server(&message(b'R', &3i32.to_be_bytes()));
        lab.server(&message(b'R', &0i32.to_be_bytes()));
        lab.server(&message(b'K', &[0, 0, 0, 7, 1, 2, 3, 4]));
        lab.server(&message(b'Z', b"I"));
        lab.answer_own(&[Some("7"), Some("1000")]);
        assert!(lab.session.is_open());
        lab.out = Effects::default();
        lab
    }

    fn login(recording: Recording, trusts: bool) -> Self {
        let session = Session::new(recording, Who::default(), trusts, vec![9; 256]);
        Self { session, enforce: true, now_us: 0, ids: 0, out: Effects::default(), rest: Vec::new() }
    }

    fn step<T>(&mut self, step: impl FnOnce(&mut Session, &mut Context<'_>, &mut Effects) -> T) -> T {
        let ids = &mut self.ids;
        let mut next_id = || {
            *ids += 1;
            ExecutionId(Uuid::from_u128(*ids))
        };
        let mut context = Context {
            now_us: self.now_us,
            enforce: self.enforce,
            understand: &mut Words,
            classes: &ByTag,
            next_id: &mut next_id,
        };
        step(&mut self.session, &mut context, &mut self.out)
    }

    fn client(&mut self, bytes: &[u8]) {
        self.rest.extend_from_slice(bytes);
        let input = std::mem::take(&mut self.rest);
        let taken = self.step(|session, context, out| session.client(&input, context, out));
        self.rest = input[taken..].to_vec();
    }

    fn server(&mut self, bytes: &[u8]) {
        let taken = self.step(|session, context, out| session.server(bytes, context, out));
        assert_eq!(taken, bytes.len(), "whole messages are taken");
        self.client(b"");
    }

    fn query(&mut self, text: &str) {
        let mut bytes = Vec::new();
        put_query(&mut bytes, text);
        self.client(&bytes);
    }

    /// The server's answer to a question of the session's own.
    fn answer_own(&mut self, columns: &[Option<&str>]) {
        self.server(&message(b'T', b"\0\0"));
        let mut body = (columns.len() as u16).to_be_bytes().to_vec();
        for column in columns {
            body.extend_from_slice(
                &column.map_or(-1, |text| i32::try_from(text.len()).expect("short")).to_be_bytes(),
            );
            body.extend_from_slice(column.unwrap_or_default().as_bytes());
        }
        self.server(&message(b'D', &body));
        self.complete("SELECT 1");
        self.server(&message(b'Z', b"I"));
    }

    fn nothing_binds(&mut self) {
        self.answer_own(&[Some("0"), Some("0"), Some("0")]);
    }

    /// What was prepared for the next statement is prepared.
    fn prepared(&mut self) {
        loop {
            match self.session.expected.front() {
                Some(Expect::Parse { .. }) => self.server(&message(b'1', b"")),
                Some(Expect::Bind) => self.server(&message(b'2', b"")),
                _ => return,
            }
        }
    }

    fn complete(&mut self, tag: &str) {
        self.prepared();
        let mut body = Vec::new();
        put_text(&mut body, tag);
        self.server(&message(b'C', &body));
    }

    fn error(&mut self, sqlstate: &str, severity: &str) {
        let mut body = Vec::new();
        for (field, text) in [(b'V', severity), (b'C', sqlstate)] {
            body.push(field);
            put_text(&mut body, text);
        }
        body.push(0);
        self.server(&message(b'E', &body));
    }

    fn ready(&mut self, status: u8) {
        self.server(&message(b'Z', &[status]));
    }

    fn recorded(&mut self) {
        let ticket = self.session.tickets;
        self.step(|session, context, out| session.recorded(ticket, context, out));
        self.client(b"");
    }

    fn released(&mut self, execution: ExecutionId) {
        self.step(|session, context, out| session.released(execution, context, out));
        self.client(b"");
    }

    fn refuse(&mut self) {
        let refusal = Refusal::new(code::FULL, "the journal is full");
        self.session.refuse(&refusal, self.now_us, &mut self.out);
        self.client(b"");
    }

    /// Types of the messages for the server, since the last time.
    fn sent(&mut self) -> String {
        types(&std::mem::take(&mut self.out.to_server))
    }

    /// Types of the messages for the client, since the last time.
    fn told(&mut self) -> String {
        types(&std::mem::take(&mut self.out.to_client))
    }

    fn intents(&mut self) -> Vec<Intent> {
        let mut intents = Vec::new();
        self.out.events.retain(|event| match event {
            Event::Intend(intent) => {
                intents.push(intent.clone());
                false
            }
            _ => true,
        });
        intents
    }

    fn held(&mut self) -> Option<(Intent, u64)> {
        let at = self.out.events.iter().position(|event| matches!(event, Event::Hold(..)))?;
        match self.out.events.remove(at) {
            Event::Hold(intent, ms) => Some((intent, ms)),
            _ => None,
        }
    }

    /// Outcomes with code and note, since the last time.
    fn finished(&mut self) -> Vec<(&'static str, Option<String>, Option<&'static str>)> {
        let mut all = Vec::new();
        self.out.events.retain(|event| match event {
            Event::Finished(Finished { outcome, sqlstate, note, .. }) => {
                all.push((outcome.name(), sqlstate.clone(), *note));
                false
            }
            _ => true,
        });
        all
    }

    fn outcomes(&mut self) -> Vec<&'static str> {
        self.finished().into_iter().map(|(outcome, ..)| outcome).collect()
    }
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out, kind, |bytes| bytes.extend_from_slice(body));
    out
}

fn parse(name: &str, text: &str) -> Vec<u8> {
    let mut body = Vec::new();
    put_text(&mut body, name);
    put_text(&mut body, text);
    body.extend_from_slice(&[0, 0]);
    message(b'P', &body)
}

fn bind(portal: &str, statement: &str) -> Vec<u8> {
    let mut body = Vec::new();
    put_text(&mut body, portal);
    put_text(&mut body, statement);
    body.extend_from_slice(&[0; 6]);
    message(b'B', &body)
}

fn execute(portal: &str, rows: i32) -> Vec<u8> {
    let mut body = Vec::new();
    put_text(&mut body, portal);
    body.extend_from_slice(&rows.to_be_bytes());
    message(b'E', &body)
}

fn sync() -> Vec<u8> {
    let mut out = Vec::new();
    put_sync(&mut out);
    out
}

/// Parse, Bind, Execute of an unnamed statement.
fn run(text: &str) -> Vec<u8> {
    [parse("", text), bind("", ""), execute("", 0)].concat()
}

fn types(mut bytes: &[u8]) -> String {
    let mut kinds = String::new();
    while let Ok(Some(head)) = crate::postgres::frames::head(bytes) {
        kinds.push(char::from(head.kind));
        bytes = &bytes[head.total_bytes..];
    }
    assert!(bytes.is_empty(), "whole messages");
    kinds
}
