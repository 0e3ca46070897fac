//! What the server answers: passed on as it comes, and followed.

use super::{Context, Effects, Event, Expect, Own, Phase, Session, answers, client::InOrder};
use crate::postgres::{
    frames::{Fields, HEAD_BYTES, Head, head, put},
    replies::{Refusal, code},
    startup::{CancelKey, SECRET_BYTES_MAX},
};

/// A longer message passes as it comes; of one that has to be read, PostgreSQL makes none that long.
const READ_BYTES_MAX: usize = 64 * 1024;

/// `AuthenticationSASL`.
const SASL: i32 = 10;

/// The mechanisms of an `AuthenticationSASL` but those that bind to the channel.
fn put_without_binding(out: &mut Vec<u8>, mechanisms: &[u8]) {
    put(out, b'R', |body| {
        body.extend_from_slice(&SASL.to_be_bytes());
        let names = mechanisms.split(|byte| *byte == 0).filter(|name| !name.is_empty());
        for name in names.filter(|name| !name.ends_with(b"-PLUS")) {
            body.extend_from_slice(name);
            body.push(0);
        }
        body.push(0);
    });
}

/// What happens with a message.
enum Fate {
    /// The client gets it.
    Passes,
    /// The client does not.
    Kept,
    /// It is not whole.
    Partial,
}

impl Session {
    /// Takes what the server has sent; how many bytes were taken. The rest is brought again, with more.
    pub fn server(&mut self, input: &[u8], context: &mut Context<'_>, out: &mut Effects) -> usize {
        // Bytes from `from` to `at` pass as they are.
        let (mut from, mut at) = (0, 0);
        while at < input.len() && self.phase != Phase::Ended {
            let (passing, told) = self.server_passing;
            if passing > 0 {
                let count = passing.min(input.len() - at);
                self.server_passing.0 -= count;
                at += count;
                if !told {
                    from = at;
                }
                continue;
            }
            let head = match head(&input[at..]) {
                Ok(Some(head)) => head,
                Ok(None) => break,
                Err(bad) => {
                    out.to_client.extend_from_slice(&input[from..at]);
                    from = at;
                    let message = format!("the database does not speak PostgreSQL's protocol: {bad}");
                    self.end(&Refusal::new(code::CONNECTION, message), context.now_us, out);
                    break;
                }
            };
            // What is told before must be in its place when something else is put in.
            if !matches!(head.kind, b'D' | b'd') {
                out.to_client.extend_from_slice(&input[from..at]);
                from = at;
            }
            match self.follow(head, &input[at..], context, out) {
                Fate::Partial => break,
                fate => {
                    let told = matches!(fate, Fate::Passes);
                    let here = head.total_bytes.min(input.len() - at);
                    self.server_passing = (head.total_bytes - here, told);
                    at += here;
                    if !told {
                        from = at;
                    }
                }
            }
        }
        if self.phase != Phase::Ended || from < at {
            out.to_client.extend_from_slice(&input[from..at]);
        }
        at
    }

    fn follow(&mut self, head: Head, input: &[u8], context: &mut Context<'_>, out: &mut Effects) -> Fate {
        let read = matches!(head.kind, b'C' | b'E' | b'Z' | b'S' | b'K' | b'R') || self.is_own(head.kind);
        let message = match input.get(..head.total_bytes) {
            Some(message) => message,
            None if read && head.total_bytes <= READ_BYTES_MAX => return Fate::Partial,
            // The codes of an error stand at its beginning.
            None if head.kind == b'E' && input.len() < READ_BYTES_MAX => return Fate::Partial,
            None => input,
        };
        let body = &message[HEAD_BYTES..];
        if self.is_own(head.kind) {
            return self.follow_own(head, body, context, out);
        }
        match head.kind {
            b'R' => return self.authentication(body, context, out),
            b'K' => return self.key(body, out),
            b'S' => self.parameter(body),
            b'1' => {
                if let Some(Expect::Parse { name, means, parse }) =
                    self.pop(|one| matches!(one, Expect::Parse { .. }))
                {
                    self.names.parsed(&name, &means, parse);
                }
            }
            b'2' => drop(self.pop(|one| *one == Expect::Bind)),
            b'n' | b'T' => drop(self.pop(|one| *one == Expect::Describe)),
            b'3' => {
                let closed = self.pop(|one| matches!(one, Expect::Close { .. }));
                if closed == Some(Expect::Close { told: false }) {
                    return Fate::Kept;
                }
            }
            b'C' | b'I' => self.complete(head.kind, body, context, out),
            b's' => self.suspend(context, out),
            b'V' => self.function_answered(context, out),
            b'G' => self.copy_in(),
            b'E' => self.error(body, context, out),
            b'Z' => return self.ready(body, context, out),
            _ => {}
        }
        Fate::Passes
    }

    /// Whether a message answers a question of the session's own. What comes unasked is never such an answer.
    fn is_own(&self, kind: u8) -> bool {
        self.expected.front() == Some(&Expect::Own) && !matches!(kind, b'A' | b'S')
    }

    fn follow_own(&mut self, head: Head, body: &[u8], context: &mut Context<'_>, out: &mut Effects) -> Fate {
        match head.kind {
            b'D' => {
                if let Phase::Greeting(own) | Phase::Asking(own) = &mut self.phase {
                    own.row(body);
                }
            }
            b'E' if answers::error(body).1 => {
                self.expected.pop_front();
                self.error(body, context, out);
                return Fate::Passes;
            }
            b'Z' => {
                self.expected.pop_front();
                match std::mem::replace(&mut self.phase, Phase::Open) {
                    Phase::Greeting(own) => return self.greeted(&own, context, out),
                    Phase::Asking(own) => self.answered_before_a_hold(&own, context, out),
                    other => self.phase = other,
                }
            }
            _ => {}
        }
        Fate::Kept
    }

    /// The server's `ReadyForQuery` after its greeting is the client's first one.
    fn greeted(&mut self, own: &Own, context: &Context<'_>, out: &mut Effects) -> Fate {
        let facts = own.session();
        self.who.backend_start = facts.and_then(|facts| facts.backend_start);
        if let Some(facts) = facts
            && facts.pid != i64::from(self.who.pid)
        {
            let message = "the database behind evenkeel is a pool: its statements cannot be followed";
            let refusal = Refusal::new(code::CONNECTION, message);
            let refusal = refusal.hint("put the pool before evenkeel, and evenkeel before PostgreSQL itself");
            self.end(&refusal, context.now_us, out);
            return Fate::Kept;
        }
        self.ready = true;
        Fate::Passes
    }

    fn authentication(&mut self, body: &[u8], context: &Context<'_>, out: &mut Effects) -> Fate {
        let asked = Fields(body).i32().unwrap_or_default();
        if asked != 0 {
            self.challenged = true;
            if asked == SASL && !self.binds {
                put_without_binding(&mut out.to_client, &body[4..]);
                return Fate::Kept;
            }
        } else if !self.challenged && !self.trusts {
            let message = format!(
                "the database lets user \"{}\" in without a password, because it sees evenkeel's address and not the client's",
                self.who.user
            );
            let refusal = Refusal::new(code::NOT_ALLOWED, message);
            let hint = "have pg_hba.conf ask for a password (scram-sha-256), or start evenkeel with --pg-allow-trust";
            self.end(&refusal.hint(hint), context.now_us, out);
            return Fate::Kept;
        }
        Fate::Passes
    }

    /// The client gets the front's secret in place of the server's.
    fn key(&mut self, body: &[u8], out: &mut Effects) -> Fate {
        let mut fields = Fields(body);
        let (Some(pid), secret) = (fields.i32(), fields.0) else { return Fate::Passes };
        let length = secret.len().min(SECRET_BYTES_MAX).min(self.secret.len());
        self.who.pid = pid;
        out.events.push(Event::Key {
            server: CancelKey { pid, secret: secret.to_vec() },
            client: CancelKey { pid, secret: self.secret[..length].to_vec() },
        });
        put(&mut out.to_client, b'K', |body| {
            body.extend_from_slice(&pid.to_be_bytes());
            body.extend_from_slice(&self.secret[..length]);
        });
        Fate::Kept
    }

    fn parameter(&mut self, body: &[u8]) {
        let mut fields = Fields(body);
        if fields.text() == Some(b"application_name") {
            let name = fields.text().unwrap_or_default();
            self.who.application = String::from_utf8_lossy(name).into_owned();
        }
    }

    fn pop(&mut self, is: impl Fn(&Expect) -> bool) -> Option<Expect> {
        self.expected.pop_front_if(|front| is(front))
    }

    fn complete(&mut self, kind: u8, body: &[u8], context: &Context<'_>, out: &mut Effects) {
        let (command, rows) = if kind == b'C' { answers::command(body) } else { (&b""[..], None) };
        let run = match self.expected.front_mut() {
            Some(Expect::Execute { run, portal }) => {
                let (run, portal) = (*run, portal.clone());
                self.expected.pop_front();
                if let Some(portal) = self.names.portal_of(&portal, run) {
                    portal.run = None;
                }
                run
            }
            Some(Expect::Query { runs }) => runs.pop_front(),
            _ => None,
        };
        let in_block = self.transaction.server_in_block();
        if let Some(run) = run {
            self.runs.completed(run, command, rows, in_block, context.now_us, &mut out.events);
        }
        self.transaction.completed(command);
    }

    fn suspend(&mut self, context: &Context<'_>, out: &mut Effects) {
        let Some(Expect::Execute { run, portal }) = self.pop(|one| matches!(one, Expect::Execute { .. }))
        else {
            return;
        };
        match (self.names.portal_of(&portal, run), run) {
            (Some(portal), _) => portal.run = run,
            // Its portal was closed or bound anew by what has been sent since.
            (None, Some(run)) => self.runs.abandoned(run, context.now_us, &mut out.events),
            (None, None) => {}
        }
    }

    fn function_answered(&mut self, context: &Context<'_>, out: &mut Effects) {
        if let Some(Expect::Function { run: Some(run) }) = self.expected.front() {
            let in_block = self.transaction.server_in_block();
            self.runs.completed(*run, b"", None, in_block, context.now_us, &mut out.events);
        }
    }

    /// COPY FROM STDIN begins: Syncs that are on their way are passed over by the server.
    fn copy_in(&mut self) {
        self.copying_in = true;
        if let Some(Expect::Execute { .. }) = self.expected.front() {
            let before = self.expected.len();
            while self.expected.get(1) == Some(&Expect::Sync) {
                self.expected.remove(1);
            }
            self.transaction.ignored(before - self.expected.len());
        }
    }

    fn error(&mut self, body: &[u8], context: &mut Context<'_>, out: &mut Effects) {
        let (sqlstate, fatal) = answers::error(body);
        let (now_us, events) = (context.now_us, &mut out.events);
        self.copying_in = false;
        if fatal {
            // What was under way may have been committed, or not.
            let in_block = self.transaction.server_in_block();
            self.runs.lost(now_us, in_block, events);
            self.expected.clear();
            self.told_fatal = true;
            return;
        }
        self.runs.rolled_back(sqlstate, now_us, events);
        let failed = |runs: &InOrder| runs.iter().copied().collect::<Vec<_>>();
        let runs = match self.expected.front_mut() {
            Some(Expect::Query { runs }) => failed(&std::mem::take(runs)),
            Some(Expect::Function { run }) => run.take().into_iter().collect(),
            _ => {
                let until = self.expected.iter().position(|one| *one == Expect::Sync);
                let skipped = self.expected.drain(..until.unwrap_or(self.expected.len()));
                let mut first = true;
                for expect in skipped {
                    match expect {
                        Expect::Execute { run: Some(run), .. } => {
                            self.runs.failed(run, first.then_some(sqlstate), now_us, events);
                        }
                        Expect::Parse { name, parse, .. } => self.names.not_parsed(&name, parse),
                        _ => {}
                    }
                    first = false;
                }
                return;
            }
        };
        for (number, run) in runs.into_iter().enumerate() {
            self.runs.failed(run, (number == 0).then_some(sqlstate), now_us, events);
        }
    }

    fn ready(&mut self, body: &[u8], context: &mut Context<'_>, out: &mut Effects) -> Fate {
        let status = body.first().copied().unwrap_or(b'I');
        if self.phase == Phase::Login {
            return self.let_in(out);
        }
        while let Some(expect) = self.expected.pop_front() {
            if matches!(expect, Expect::Sync | Expect::Query { .. } | Expect::Function { .. }) {
                break;
            }
        }
        self.copying_in = false;
        self.transaction.ready(status);
        self.runs.committed(&mut out.events);
        if status == b'I' {
            for run in self.names.close_all(self.transaction.batches().1) {
                self.runs.abandoned(run, context.now_us, &mut out.events);
            }
        }
        self.ready = status == b'I' && self.expected.is_empty();
        Fate::Passes
    }

    /// The server has let the client in. The session first asks about itself, where the server can be asked.
    fn let_in(&mut self, out: &mut Effects) -> Fate {
        if !self.greets {
            self.phase = Phase::Open;
            return Fate::Passes;
        }
        self.phase = Phase::Greeting(Own::greet(&mut out.to_server));
        self.expected.push_back(Expect::Own);
        Fate::Kept
    }
}
