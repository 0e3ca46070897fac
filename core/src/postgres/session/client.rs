//! What the client sends: scanned message by message, staged until it may leave, forwarded.

use std::{collections::VecDeque, sync::Arc};

use super::{
    BATCH_BYTES_MAX, Context, Effects, Event, Expect, Phase, Recording, Session, Staged, TEXT_BYTES_MAX,
    runs::Run,
};
#[cfg(feature = "mutants")]
use crate::{
    mutant::{self, Mutant},
    postgres::frames::{put, put_text},
};
use crate::{
    postgres::{
        frames::{BadLength, Fields, HEAD_BYTES, Head, head},
        replies::{Refusal, code},
        understood::{Kind, Part, Understood},
    },
    units::ids::ExecutionId,
};

/// A Bind that is longer passes as it comes once its names are here, which stand at its beginning.
const BIND_BYTES_MAX: usize = 64 * 1024;
/// Longest names of a Bind that passes as it comes: PostgreSQL cuts names at 63 bytes.
const BIND_NAMES_MAX: usize = 4 * 1024;
/// Messages that wait for a record: a pipeline of that many shares one sync.
const STAGED_MAX: usize = 10_000;

/// What scanning a message has come to.
enum Scan {
    /// It is not whole.
    Partial,
    /// It was taken whole.
    Whole,
    /// Its head was taken; the rest passes as it comes.
    Head,
}

impl Session {
    /// Takes what the client has sent, as far as it goes; how many bytes were taken. The rest is brought again, with
    /// more, or when something has changed. An input of [`TEXT_BYTES_MAX`] and a head's bytes is never brought in vain
    /// but where the session waits.
    pub fn client(&mut self, input: &[u8], context: &mut Context<'_>, out: &mut Effects) -> usize {
        let mut at = 0;
        while at < input.len() && self.takes() {
            if self.client_passing > 0 {
                if !self.staged.is_empty() {
                    break;
                }
                let count = self.client_passing.min(input.len() - at);
                out.to_server.extend_from_slice(&input[at..at + count]);
                self.client_passing -= count;
                at += count;
                continue;
            }
            let head = match head(&input[at..]) {
                Ok(Some(head)) => head,
                Ok(None) => break,
                Err(bad) => {
                    self.violated(bad, context.now_us, out);
                    break;
                }
            };
            match self.scan(head, &input[at..], context, out) {
                Scan::Partial => break,
                Scan::Whole => at += head.total_bytes,
                Scan::Head => {
                    at += HEAD_BYTES;
                    self.client_passing = head.total_bytes - HEAD_BYTES;
                }
            }
            self.forward(context, out);
        }
        at
    }

    pub(super) fn takes(&self) -> bool {
        let room = self.stage.len() < TEXT_BYTES_MAX && self.staged.len() < STAGED_MAX;
        matches!(self.phase, Phase::Login | Phase::Open) && room && !self.terminated
    }

    fn violated(&mut self, bad: BadLength, now_us: u64, out: &mut Effects) {
        self.end(&Refusal::new(code::PROTOCOL, bad.to_string()), now_us, out);
    }

    fn scan(&mut self, head: Head, input: &[u8], context: &mut Context<'_>, out: &mut Effects) -> Scan {
        if self.phase == Phase::Login {
            return self.scan_login(head, input);
        }
        let limit = match head.kind {
            b'Q' | b'P' => TEXT_BYTES_MAX + HEAD_BYTES,
            // What COPY carries is nobody's business here.
            b'd' => 0,
            _ => BIND_BYTES_MAX,
        };
        if matches!(head.kind, b'Q' | b'P' | b'B' | b'D' | b'E' | b'C') {
            self.may_begin_batch(context);
        }
        if head.total_bytes > limit {
            return self.scan_long(head, input, context, out);
        }
        let Some(message) = input.get(..head.total_bytes) else { return Scan::Partial };
        self.scan_whole(head, message, context, out);
        if self.stage.len() > BATCH_BYTES_MAX {
            self.pass_long_batch(context, out);
        }
        Scan::Whole
    }

    /// Before the server has let the client in, passwords alone are taken.
    fn scan_login(&mut self, head: Head, input: &[u8]) -> Scan {
        match (head.kind, input.get(..head.total_bytes)) {
            (b'p' | b'X', Some(message)) if head.total_bytes <= BIND_BYTES_MAX => {
                self.stage(message, head.kind, None, Vec::new());
                self.terminated = head.kind == b'X';
                Scan::Whole
            }
            _ => Scan::Partial,
        }
    }

    /// A message that is not looked at as a whole.
    fn scan_long(&mut self, head: Head, input: &[u8], context: &mut Context<'_>, out: &mut Effects) -> Scan {
        let mut fields = Fields(&input[HEAD_BYTES..]);
        let opaque = || Arc::new(Understood::opaque(Kind::Long, "(a text of more than 1 MiB)"));
        let (expect, begins) = match head.kind {
            b'Q' => {
                let runs = self.begin_all(&opaque(), context);
                self.transaction.end_batch();
                (Some(Expect::Query { runs: runs.iter().copied().collect() }), runs)
            }
            b'P' | b'B' => {
                let names = fields.text().zip(if head.kind == b'B' { fields.text() } else { Some(&b""[..]) });
                let Some((name, statement)) = names else {
                    if input.len() < BIND_NAMES_MAX {
                        return Scan::Partial;
                    }
                    let message = "a name in the message is longer than 4096 bytes";
                    self.end(&Refusal::new(code::PROTOCOL, message), context.now_us, out);
                    return Scan::Partial;
                };
                if head.kind == b'B' {
                    let (portal, statement) = (name.to_vec(), statement.to_vec());
                    (Some(self.bind(&portal, &statement, context, out)), Vec::new())
                } else {
                    let means = opaque();
                    let parse = self.names.parse(name, &means, self.transaction.batches().0);
                    (Some(Expect::Parse { name: name.into(), means, parse }), Vec::new())
                }
            }
            _ => (None, Vec::new()),
        };
        self.stage(&input[..HEAD_BYTES], head.kind, expect, begins);
        self.pass_long_batch(context, out);
        self.admit_staged(context, out);
        Scan::Head
    }

    fn scan_whole(&mut self, head: Head, message: &[u8], context: &mut Context<'_>, out: &mut Effects) {
        let mut fields = Fields(&message[HEAD_BYTES..]);
        let mut begins = Vec::new();
        let expect = match head.kind {
            b'Q' => {
                let understood = context.understand.understand(&lossy(fields.text().unwrap_or_default()));
                begins = self.begin_all(&understood, context);
                Some(Expect::Query { runs: begins.iter().copied().collect() })
            }
            b'P' => {
                let (name, text) = (fields.text().unwrap_or_default(), fields.text().unwrap_or_default());
                let means = context.understand.understand(&lossy(text));
                let parse = self.names.parse(name, &means, self.transaction.batches().0);
                Some(Expect::Parse { name: name.into(), means, parse })
            }
            b'B' => {
                let (portal, statement) =
                    (fields.text().unwrap_or_default(), fields.text().unwrap_or_default());
                Some(self.bind(portal, statement, context, out))
            }
            b'D' => Some(Expect::Describe),
            b'C' => Some(self.close(&mut fields, context, out)),
            b'E' => {
                let portal = fields.text().unwrap_or_default();
                let (run, begun) = self.execute(portal, context);
                begins.extend(begun);
                Some(Expect::Execute { run, portal: portal.into() })
            }
            b'F' => {
                let text = format!("function call of {}", fields.i32().unwrap_or_default().cast_unsigned());
                begins = self.begin_all(&Understood::opaque(Kind::Function, &text), context);
                Some(Expect::Function { run: begins.first().copied() })
            }
            // In the middle of COPY the server passes over it.
            b'S' if self.copying_in => None,
            b'S' => Some(Expect::Sync),
            b'c' | b'f' => {
                self.copying_in = false;
                None
            }
            _ => None,
        };
        let ends = matches!(expect, Some(Expect::Sync | Expect::Query { .. } | Expect::Function { .. }));
        if ends {
            self.transaction.end_batch();
        }
        self.terminated |= head.kind == b'X';
        self.stage(message, head.kind, expect, begins);
        match head.kind {
            // What was flushed has taken locks: it is held no more.
            b'H' | b'F' | b'X' => self.pass_batch(context, out),
            _ if ends => self.decide_batch(context, out),
            _ => {}
        }
        if self.batch.is_none() {
            self.admit_staged(context, out);
        }
    }

    fn bind(&mut self, portal: &[u8], statement: &[u8], context: &Context<'_>, out: &mut Effects) -> Expect {
        let known = self.names.statement(statement, self.transaction.batches().0);
        let means =
            known.unwrap_or_else(|| Arc::new(Understood::opaque(Kind::Other, "(a name of an unknown text)")));
        if let Some(run) = self.names.bind(portal, means, self.transaction.batches().0) {
            self.runs.abandoned(run, context.now_us, &mut out.events);
        }
        Expect::Bind
    }

    fn close(&mut self, fields: &mut Fields<'_>, context: &Context<'_>, out: &mut Effects) -> Expect {
        match (fields.byte(), fields.text()) {
            (Some(b'S'), Some(name)) => self.names.forget(name),
            (_, Some(name)) => {
                if let Some(run) = self.names.close(name) {
                    self.runs.abandoned(run, context.now_us, &mut out.events);
                }
            }
            _ => {}
        }
        Expect::Close { told: true }
    }

    /// The run of a portal: one, however often it is executed with a limit of rows. Whether it begins now.
    fn execute(
        &mut self,
        name: &[u8],
        context: &mut Context<'_>,
    ) -> (Option<ExecutionId>, Option<ExecutionId>) {
        let portal = self.names.portal(name);
        if let Some(run) = portal.as_ref().and_then(|portal| portal.begun) {
            return (Some(run), None);
        }
        let means = portal.map(|portal| Arc::clone(&portal.means));
        let means = means.unwrap_or_else(|| Arc::new(Understood::opaque(Kind::Other, "(an unknown portal)")));
        let begun = self.begin_all(&means, context).first().copied();
        if let Some(portal) = self.names.portal(name) {
            portal.begun = begun;
        }
        (begun, begun)
    }

    /// Runs of all statements of a text.
    fn begin_all(&mut self, understood: &Understood, context: &mut Context<'_>) -> Vec<ExecutionId> {
        let parts = understood.parts.iter().enumerate();
        parts.filter_map(|(at, part)| self.begin(understood, at, part, context)).collect()
    }

    fn begin(
        &mut self,
        understood: &Understood,
        at: usize,
        part: &Part,
        context: &mut Context<'_>,
    ) -> Option<ExecutionId> {
        let exact = understood.exact;
        let scanned = self.transaction.scan(&part.kind, exact, part.sure_read, self.recording);
        if matches!(part.kind, Kind::ResetAll | Kind::Deallocate) {
            self.names.forget_all();
        }
        if self.recording == Recording::Off {
            self.unrecorded += 1;
            return None;
        }
        let execution = (context.next_id)();
        self.batch_runs(execution, understood, part, context);
        let class = context.classes.class(&self.who, understood, Some(part)).name;
        let run = Run {
            query: part.query,
            text: Arc::clone(&part.text),
            kind: part.kind.clone(),
            class,
            transaction: scanned.transaction,
            tag: understood.truth(at).cloned(),
            waits: scanned.waits,
            exact,
            admitted: false,
            sent_us: None,
        };
        self.runs.begin(execution, run);
        Some(execution)
    }

    fn stage(&mut self, message: &[u8], kind: u8, expect: Option<Expect>, begins: Vec<ExecutionId>) {
        self.stage.extend_from_slice(message);
        self.staged.push_back(Staged { bytes: message.len(), kind, expect, begins, wait_for: 0 });
    }

    /// Sends what may leave, in order.
    pub(super) fn forward(&mut self, context: &mut Context<'_>, out: &mut Effects) {
        let unrecorded = std::mem::take(&mut self.unrecorded);
        if unrecorded > 0 {
            out.events.push(Event::Unrecorded(unrecorded));
        }
        let open = matches!(self.phase, Phase::Login | Phase::Open);
        if !open || self.batch.is_some() || self.cancelling {
            return;
        }
        let mut leaving = 0;
        while let Some(staged) = self.staged.pop_front_if(|staged| may_leave(staged, self.durable)) {
            leaving += staged.bytes;
            #[cfg(feature = "mutants")]
            if mutant::is(Mutant::SuccessForetold) && staged.kind == b'Q' {
                put(&mut out.to_client, b'C', |body| put_text(body, "INSERT 0 1"));
            }
            self.expect(staged.expect, context.now_us);
        }
        if leaving > 0 {
            self.ready = false;
            out.to_server.extend(self.stage.drain(..leaving));
        }
    }

    fn expect(&mut self, expect: Option<Expect>, now_us: u64) {
        let Some(expect) = expect else { return };
        match &expect {
            Expect::Execute { run: Some(run), .. } | Expect::Function { run: Some(run) } => {
                self.runs.sent(*run, now_us);
            }
            Expect::Query { runs } => runs.iter().for_each(|run| self.runs.sent(*run, now_us)),
            _ => {}
        }
        self.expected.push_back(expect);
    }

    /// The journal takes nothing more: what waits for its record is refused.
    pub fn refuse(&mut self, refusal: &Refusal, now_us: u64, out: &mut Effects) {
        // Server and client would disagree about the state of the transaction, or about whose error that is.
        if self.waits_for_record() && !self.give_up_unsent(refusal, out) {
            self.end(refusal, now_us, out);
        }
    }

    /// Whether something waits for its record.
    pub fn waits_for_record(&self) -> bool {
        self.staged.iter().any(|staged| staged.wait_for > self.durable)
    }

    /// Gives up a batch that waits for its record, where its error undoes nothing that was sent before; whether that is so.
    pub fn give_up_unsent(&mut self, refusal: &Refusal, out: &mut Effects) -> bool {
        let alone =
            self.waits_for_record() && !self.transaction.server_in_block() && self.is_one_batch_alone();
        if alone {
            self.drop_batch(refusal, out);
        }
        alone
    }

    /// Whether what is staged is one whole batch, whose error undoes nothing that was sent before.
    fn is_one_batch_alone(&self) -> bool {
        let mut ends = self.staged.iter().map(Staged::ends).rev();
        let whole = ends.next() == Some(true) && !ends.any(|ends| ends) && self.client_passing == 0;
        whole && self.expected.is_empty() && self.runs.none_sent()
    }
}

fn may_leave(staged: &Staged, durable: u64) -> bool {
    #[cfg(feature = "mutants")]
    if mutant::is(Mutant::ForwardedBeforeDurable) {
        return true;
    }
    staged.wait_for <= durable
}

impl Staged {
    fn ends(&self) -> bool {
        matches!(self.expect, Some(Expect::Sync | Expect::Query { .. }))
    }
}

fn lossy(text: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(text)
}

/// Runs of a text, in the order in which they are answered.
pub(super) type InOrder = VecDeque<ExecutionId>;
