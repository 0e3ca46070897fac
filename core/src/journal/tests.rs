mod formats;
mod text;

use std::sync::Arc;

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::units::{
    ids::{ExecutionId, QueryId},
    resource::PerResource,
    tick::Tick,
    window::{Extent, Window},
};

prop_compose! {
    fn statement()(
        texts in any::<[String; 5]>(),
        session in any::<u128>(),
        transaction in any::<Option<u64>>(),
        pid in any::<i32>(),
        backend_start in any::<Option<i64>>(),
        tag in any::<Option<String>>(),
    ) -> Arc<Statement> {
        let [class, user, database, application, client] = texts;
        let session = Uuid::from_u128(session);
        Arc::new(Statement {
            class, user, database, application, client, session, transaction, pid, backend_start, tag,
        })
    }
}

prop_compose! {
    fn answer()(
        sqlstate in any::<Option<String>>(),
        numbers in any::<(Option<u64>, u64, Option<u64>)>(),
        note in any::<Option<String>>(),
    ) -> Box<Answer> {
        let (rows, duration_us, cpu_us) = numbers;
        Box::new(Answer { sqlstate, rows, duration_us, cpu_us, note })
    }
}

prop_compose! {
    fn executed()(
        ids in any::<(u128, u128)>(),
        ticks in any::<[u32; 4]>(),
        reason in ".{0,40}",
        executed_at_ms in any::<u64>(),
        outcome in prop::sample::select(vec![Outcome::Ok, Outcome::Failed, Outcome::Unknown]),
        statement in prop::option::of(statement()),
        answer in prop::option::of(answer()),
    ) -> Record {
        let [queued, due, tick, finished] = ticks.map(|tick| Tick(tick.into()));
        Record::Executed(Executed {
            execution: ExecutionId(Uuid::from_u128(ids.0)),
            query: QueryId(Uuid::from_u128(ids.1)),
            queued_tick: queued,
            due_tick: due,
            tick,
            finished_tick: finished,
            reason,
            outcome,
            executed_at_ms,
            tenant: None,
            trace: None,
            statement,
            answer,
        })
    }
}

prop_compose! {
    fn queue_record()(
        ids in any::<(u128, u128)>(),
        numbers in any::<[u64; 3]>(),
        event in prop::sample::select(QueueEvent::ALL.to_vec()),
        statement in prop::option::of(statement()),
    ) -> Record {
        Record::Queue(QueueRecord {
            event,
            execution: ExecutionId(Uuid::from_u128(ids.0)),
            query: QueryId(Uuid::from_u128(ids.1)),
            tick: Tick(numbers[0]),
            due_tick: Tick(numbers[1]),
            added_ticks: numbers[2],
            statement,
        })
    }
}

prop_compose! {
    fn window()(numbers in any::<[u64; 12]>(), in_corridor: bool, running in 0u64..3, incomplete: bool) -> Record {
        let mut next = numbers.into_iter();
        let mut number = || next.next().unwrap_or_default();
        Record::Window(Window {
            first_tick: Tick(number()),
            last_tick: Tick(number()),
            usage: PerResource::from_fn(|_| Extent { average: number(), min: number(), max: number() }),
            executed: number(),
            in_corridor,
            running,
            incomplete,
        })
    }
}

fn record() -> impl Strategy<Value = Record> {
    prop_oneof![executed(), queue_record(), window()]
}

proptest! {
    #[test]
    fn an_entry_survives_its_fields(record in record(), ms: u64, n: u64, seq: u64) {
        let entry = Entry { id: EntryId { ms, n }, seq, version: FORMAT, record };
        let fields = entry.fields();
        let pairs = fields.iter().rev().map(|(name, value)| (*name, value.as_str()));
        let back = Entry::decode(entry.record.stream(), entry.id, pairs);
        prop_assert_eq!(back, Ok(entry));
    }

    #[test]
    fn a_missing_field_is_named(record in record(), which: prop::sample::Index) {
        let entry = Entry { id: EntryId::default(), seq: 1, version: FORMAT, record };
        let mut fields = entry.fields();
        let (missing, _) = fields.remove(which.index(fields.len()));
        // These are there only where there is something to say.
        let optional = ["running", "incomplete", "class", "transaction", "backend_start", "tag", "duration_us"];
        prop_assume!(!optional.contains(&missing) && !["sqlstate", "rows", "cpu_us", "note"].contains(&missing));
        let pairs = fields.iter().map(|(name, value)| (*name, value.as_str()));
        prop_assert_eq!(Entry::decode(entry.record.stream(), entry.id, pairs), Err(DecodeError::Missing(missing)));
    }

    #[test]
    fn nonsense_in_a_field_is_an_error_and_no_panic(record in record(), which: prop::sample::Index, nonsense in ".{0,30}") {
        let entry = Entry { id: EntryId::default(), seq: 1, version: FORMAT, record };
        let mut fields = entry.fields();
        let at = which.index(fields.len());
        fields[at].1 = nonsense;
        let pairs = fields.iter().map(|(name, value)| (*name, value.as_str()));
        let _ = Entry::decode(entry.record.stream(), entry.id, pairs);
    }

    #[test]
    fn ids_grow_and_seq_is_dense_whatever_the_clock_does(clock in prop::collection::vec(0u64..5, 1..60)) {
        let mut numbering = Numbering::default();
        let mut last = None;
        for (i, now_ms) in clock.into_iter().enumerate() {
            let record = Record::Queue(QueueRecord {
                event: QueueEvent::Queued,
                execution: ExecutionId(Uuid::nil()),
                query: QueryId(Uuid::nil()),
                tick: Tick(0),
                due_tick: Tick(1),
                added_ticks: 0,
                statement: None,
            });
            let entry = numbering.number(record, now_ms);
            prop_assert!(entry.id.ms >= now_ms);
            prop_assert!(last.is_none_or(|last| entry.id > last));
            prop_assert_eq!(entry.seq, i as u64 + 1);
            last = Some(entry.id);
        }
    }
}

#[test]
fn a_later_format_is_refused_by_its_number() {
    let error = Entry::decode(Stream::Queue, EntryId::default(), [("v", "3")]);
    assert_eq!(error, Err(DecodeError::Version(3)));
    assert!(error.unwrap_err().to_string().contains("version 3") && FORMAT == 2);
}

#[test]
fn a_clock_a_day_behind_is_refused_and_a_little_behind_is_told() {
    let mut numbering = Numbering::default();
    let record = Record::Window(Window {
        first_tick: Tick(0),
        last_tick: Tick(9),
        usage: PerResource::all(Extent::default()),
        executed: 0,
        in_corridor: false,
        running: 0,
        incomplete: false,
    });
    numbering.number(record, 100_000_000);
    assert_eq!(numbering.clock_behind_ms(99_999_000, 0), Ok(1000));
    assert_eq!(numbering.clock_behind_ms(100_000_001, 0), Ok(0));
    let error = numbering.clock_behind_ms(1, 99_999_999).unwrap_err();
    assert!(error.to_string().contains("27 h behind"), "{error}");
    assert_eq!(
        numbering.clock_behind_ms(1, 100_000_000),
        Ok(99_999_999),
        "the clock was known to be wrong then"
    );
}

#[test]
fn an_entry_id_is_read_as_it_is_written() {
    let id = EntryId { ms: 1_800_000_000_123, n: 4 };
    assert_eq!(id.to_string().parse(), Ok(id));
    assert!("12".parse::<EntryId>().is_err());
}
