//! Whether a statement will run inside of an explicit transaction, as far as that is certain before it is sent.

use super::Recording;
#[cfg(feature = "mutants")]
use crate::mutant::{self, Mutant};
use crate::postgres::understood::Kind;

/// What is known of a statement's surroundings when it is scanned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Outside,
    Inside,
    /// Something that is under way may begin or end a transaction.
    Unsure,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Transaction {
    place: Place,
    /// Syncs and texts that were scanned and of which the server has not become ready.
    unanswered: u64,
    /// All of them so far.
    batches: u64,
    /// Whether the batch that is being scanned begins or ends a transaction.
    controls: bool,
    /// What the server is in, by its answers.
    server_in_block: bool,
    /// Explicit transactions so far.
    count: u64,
    current: Option<u64>,
}

/// Of one statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scanned {
    /// The explicit transaction that it is part of.
    pub(super) transaction: Option<u64>,
    /// Whether it may not leave before its record is durable.
    pub(super) waits: bool,
}

impl Transaction {
    /// The next statement of the client's.
    pub(super) fn scan(
        &mut self,
        kind: &Kind,
        exact: bool,
        sure_read: bool,
        recording: Recording,
    ) -> Scanned {
        let waits = self.waits(kind, exact, sure_read, recording);
        let transaction = match kind {
            Kind::Begin => Some(self.begin()),
            _ => self.current,
        };
        match kind {
            Kind::Begin if exact => (self.place, self.controls) = (Place::Inside, true),
            Kind::Commit | Kind::Rollback | Kind::PrepareTransaction => {
                (self.place, self.controls, self.current) = (Place::Outside, true, None);
            }
            _ if !exact => (self.place, self.controls) = (Place::Unsure, true),
            _ => {}
        }
        Scanned { transaction, waits }
    }

    fn begin(&mut self) -> u64 {
        if self.current.is_none() {
            self.count += 1;
        }
        *self.current.insert(self.count)
    }

    fn waits(&self, kind: &Kind, exact: bool, sure_read: bool, recording: Recording) -> bool {
        let acts = match kind {
            Kind::Begin
            | Kind::Rollback
            | Kind::RollbackTo
            | Kind::Savepoint
            | Kind::Set { .. }
            | Kind::ResetAll
            | Kind::Show
            | Kind::Prepare { .. }
            | Kind::Deallocate
            | Kind::Explain { analyze: false } => false,
            _ => !sure_read,
        };
        let ends = matches!(kind, Kind::Commit | Kind::PrepareTransaction | Kind::FinishPrepared);
        #[cfg(feature = "mutants")]
        let ends = ends && !mutant::is(Mutant::CommitNotAwaited);
        match recording {
            Recording::Off | Recording::Async => false,
            Recording::Commit if self.place == Place::Inside => ends || !exact,
            Recording::Commit | Recording::Strict => acts || !exact,
        }
    }

    /// A Sync or a text: the server will say when it is ready again.
    pub(super) fn end_batch(&mut self) {
        self.unanswered += 1;
        self.batches += 1;
        if std::mem::take(&mut self.controls) {
            self.place = Place::Unsure;
        }
    }

    /// Batches that were scanned to their end; of these, those that the server has answered or passed over.
    pub(super) fn batches(&self) -> (u64, u64) {
        (self.batches, self.batches - self.unanswered)
    }

    /// Syncs that the server ignores after all.
    pub(super) fn ignored(&mut self, syncs: usize) {
        self.unanswered = self.unanswered.saturating_sub(syncs as u64);
    }

    /// The server is ready: `I` outside of a transaction, `T` inside, `E` inside of one that has failed.
    pub(super) fn ready(&mut self, status: u8) {
        self.unanswered = self.unanswered.saturating_sub(1);
        self.server_in_block = status != b'I';
        if self.unanswered > 0 || self.controls {
            return;
        }
        if self.server_in_block {
            self.place = Place::Inside;
            self.begin();
        } else {
            (self.place, self.current) = (Place::Outside, None);
        }
    }

    /// `CommandComplete` of a statement that begins or ends a transaction.
    pub(super) fn completed(&mut self, command: &[u8]) {
        match command {
            b"BEGIN" | b"START TRANSACTION" => self.server_in_block = true,
            b"COMMIT" | b"ROLLBACK" | b"PREPARE TRANSACTION" => self.server_in_block = false,
            _ => {}
        }
    }

    /// Whether the server is in an explicit transaction, by what it has answered.
    pub(super) fn server_in_block(&self) -> bool {
        self.server_in_block
    }

    /// Whether what comes next certainly runs outside of one, with nothing under way.
    pub(super) fn is_outside(&self) -> bool {
        self.place == Place::Outside && self.unanswered == 0 && !self.controls
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(transaction: &mut Transaction, kind: &Kind) -> bool {
        transaction.scan(kind, true, *kind == Kind::Show, Recording::Commit).waits
    }

    #[test]
    fn inside_only_what_ends_the_transaction_waits() {
        let mut transaction = Transaction::default();
        assert!(waits(&mut transaction, &Kind::Insert));
        assert!(!waits(&mut transaction, &Kind::Begin));
        assert!(!waits(&mut transaction, &Kind::Insert), "in the same batch as its BEGIN");
        transaction.end_batch();
        assert!(waits(&mut transaction, &Kind::Insert), "whether BEGIN succeeds is not known yet");
        transaction.end_batch();
        transaction.ready(b'T');
        assert!(waits(&mut transaction, &Kind::Insert), "one answer is missing");
        transaction.ready(b'T');
        assert!(!waits(&mut transaction, &Kind::Insert));
        assert!(!waits(&mut transaction, &Kind::Rollback));
        assert!(waits(&mut transaction, &Kind::Commit));
        assert!(waits(&mut transaction, &Kind::Insert), "behind a COMMIT");
    }

    #[test]
    fn a_failed_begin_leaves_nothing_inside() {
        let mut transaction = Transaction::default();
        transaction.scan(&Kind::Begin, true, false, Recording::Commit);
        transaction.end_batch();
        transaction.ready(b'I');
        assert!(waits(&mut transaction, &Kind::Insert));
        assert!(transaction.is_outside());
    }

    #[test]
    fn what_is_not_understood_waits_and_leaves_the_place_unsure() {
        let mut transaction = Transaction::default();
        transaction.scan(&Kind::Begin, true, false, Recording::Commit);
        transaction.end_batch();
        transaction.ready(b'T');
        assert!(transaction.scan(&Kind::Other, false, false, Recording::Commit).waits);
        assert!(waits(&mut transaction, &Kind::Insert));
    }

    #[test]
    fn transactions_are_counted_and_their_statements_know_which_is_theirs() {
        let mut transaction = Transaction::default();
        let mut of = |kind: Kind| {
            let of = transaction.scan(&kind, true, false, Recording::Commit).transaction;
            transaction.end_batch();
            let status = if matches!(kind, Kind::Commit) || of.is_none() { b'I' } else { b'T' };
            transaction.ready(status);
            of
        };
        let kinds = [Kind::Insert, Kind::Begin, Kind::Insert, Kind::Commit, Kind::Insert, Kind::Begin];
        assert_eq!(kinds.map(&mut of), [None, Some(1), Some(1), Some(1), None, Some(2)]);
    }

    #[test]
    fn strict_waits_inside_too_and_async_never() {
        let mut transaction = Transaction::default();
        transaction.scan(&Kind::Begin, true, false, Recording::Strict);
        assert!(transaction.scan(&Kind::Insert, true, false, Recording::Strict).waits);
        assert!(!transaction.scan(&Kind::Select, true, true, Recording::Strict).waits);
        assert!(!transaction.scan(&Kind::Commit, true, false, Recording::Async).waits);
    }
}
