//! Entries, ids and numbers exactly as they stand in Redis and in files, and what is refused.

use super::*;

fn entry(record: Record) -> Entry {
    Entry { id: EntryId { ms: 1_800_000_000_123, n: 4 }, seq: 17, version: FORMAT, record }
}

fn fields(record: Record) -> String {
    let pairs: Vec<_> =
        entry(record).fields().iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join(" ")
}

fn ran() -> Executed {
    Executed {
        execution: ExecutionId(Uuid::from_u128(1)),
        query: QueryId(Uuid::from_u128(0xabc)),
        queued_tick: Tick(3),
        due_tick: Tick(4),
        tick: Tick(9),
        finished_tick: Tick(10),
        reason: "to be level".to_owned(),
        outcome: Outcome::Failed,
        executed_at_ms: 77,
        tenant: None,
        trace: None,
        statement: None,
        answer: None,
    }
}

fn delayed() -> QueueRecord {
    QueueRecord {
        event: QueueEvent::Delayed,
        execution: ExecutionId(Uuid::from_u128(1)),
        query: QueryId(Uuid::from_u128(0xabc)),
        tick: Tick(3),
        due_tick: Tick(9),
        added_ticks: 5,
        statement: None,
    }
}

fn window() -> Window {
    let mut usage = PerResource::all(Extent { average: 4, min: 1, max: 7 });
    usage.io = Extent { average: 5, min: 2, max: 8 };
    usage.memory = Extent { average: 6, min: 3, max: 9 };
    Window {
        first_tick: Tick(20),
        last_tick: Tick(29),
        usage,
        executed: 12,
        in_corridor: true,
        running: 0,
        incomplete: false,
    }
}

#[test]
fn an_entry_reads_as_it_always_did_but_for_its_version() {
    assert_eq!(
        fields(Record::Executed(ran())),
        "v=2 seq=17 execution=00000000-0000-0000-0000-000000000001 query=00000000-0000-0000-0000-000000000abc \
         queued_tick=3 due_tick=4 tick=9 finished_tick=10 delay=6 reason=to be level outcome=failed executed_at=77"
    );
    assert_eq!(
        fields(Record::Queue(delayed())),
        "v=2 seq=17 event=delayed execution=00000000-0000-0000-0000-000000000001 \
         query=00000000-0000-0000-0000-000000000abc tick=3 due_tick=9 added_ticks=5"
    );
    assert_eq!(
        fields(Record::Window(window())),
        "v=2 seq=17 first_tick=20 last_tick=29 cpu_average=4 cpu_min=1 cpu_max=7 io_average=5 io_min=2 io_max=8 \
         memory_average=6 memory_min=3 memory_max=9 executed=12 in_corridor=1"
    );
}

#[test]
fn names_are_read_as_they_are_written() {
    let outcomes = [Outcome::Ok, Outcome::Failed, Outcome::Unknown].map(Outcome::name);
    assert_eq!(outcomes, ["ok", "failed", "unknown"]);
    let events = QueueEvent::ALL.map(QueueEvent::name);
    assert_eq!(events, ["queued", "delayed", "released", "dropped"]);
    assert_eq!(Stream::ALL.map(|stream| stream.to_string()), ["executions", "queue", "windows"]);
    for stream in Stream::ALL {
        assert_eq!(stream.name().parse(), Ok(stream));
    }
    assert!("executed".parse::<Stream>().is_err_and(|error| error.contains("`executed`")));
}

#[test]
fn a_record_belongs_to_one_stream_and_tick() {
    for (record, stream, tick) in [
        (Record::Executed(ran()), Stream::Executions, Tick(10)),
        (Record::Queue(delayed()), Stream::Queue, Tick(3)),
        (Record::Window(window()), Stream::Windows, Tick(29)),
    ] {
        assert_eq!((record.stream(), record.tick()), (stream, tick));
    }
    assert_eq!(ran().delay_ticks(), 6);
}

#[test]
fn a_field_that_does_not_fit_is_named_with_what_would() {
    for (record, field, value, expected) in [
        (Record::Executed(ran()), "delay", "5", "tick − queued_tick"),
        (Record::Executed(ran()), "outcome", "fine", "ok, failed or unknown"),
        (Record::Executed(ran()), "execution", "1", "a uuid"),
        (Record::Queue(delayed()), "event", "executed", "queued, delayed, released or dropped"),
        (Record::Queue(delayed()), "added_ticks", "-1", "an integer of 0 or more"),
        (Record::Window(window()), "in_corridor", "2", "0 or 1"),
    ] {
        let entry = entry(record);
        let mut fields = entry.fields();
        let changed = fields.iter_mut().find(|(name, _)| *name == field).expect("the field is there");
        changed.1 = value.to_owned();
        let pairs = fields.iter().map(|(name, value)| (*name, value.as_str()));
        let expected = DecodeError::Invalid { field, value: value.to_owned(), expected };
        assert_eq!(Entry::decode(entry.record.stream(), entry.id, pairs), Err(expected));
    }
}

#[test]
fn each_id_but_the_first_has_one_before_it() {
    let id = |ms, n| EntryId { ms, n };
    assert_eq!(id(0, 0).predecessor(), None);
    assert_eq!(id(0, 1).predecessor(), Some(id(0, 0)));
    assert_eq!(id(5, 0).predecessor(), Some(id(4, u64::MAX)));
    assert_eq!(id(5, 7).predecessor(), Some(id(5, 6)));
    assert_eq!(id(5, 7).to_string(), "5-7");
}

#[test]
fn ids_follow_the_clock_and_count_on_within_a_millisecond() {
    let mut numbering = Numbering::default();
    let mut number = |now_ms| {
        let entry = numbering.number(Record::Window(window()), now_ms);
        (entry.id.ms, entry.id.n, entry.seq)
    };
    let got = [100, 100, 100, 90, 101, 101, 200].map(&mut number);
    let expected =
        [(100, 0, 1), (100, 1, 2), (100, 2, 3), (100, 3, 4), (101, 0, 5), (101, 1, 6), (200, 0, 7)];
    assert_eq!(got, expected);
    assert_eq!((numbering.last_seq(Stream::Windows), numbering.last_seq(Stream::Queue)), (7, 0));
    assert_eq!(numbering.last_id(Stream::Windows), EntryId { ms: 200, n: 0 });
    assert_eq!(numbering.last_id(Stream::Queue), EntryId::default());
}

#[test]
fn numbers_go_on_after_the_last_entry_of_each_stream() {
    let after = |ms, n, seq| (EntryId { ms, n }, seq);
    let last = PerStream { executions: after(50, 6, 9), queue: after(60, 0, 4), windows: after(0, 0, 0) };
    let mut numbering = Numbering::after(last);
    let expected = [(50, 7, 10), (60, 1, 5), (40, 0, 1)];
    let records = [Record::Executed(ran()), Record::Queue(delayed()), Record::Window(window())];
    for (record, expected) in records.into_iter().zip(expected) {
        let entry = numbering.number(record, 40);
        assert_eq!((entry.id.ms, entry.id.n, entry.seq), expected);
    }
    // Before the first entry nothing counts within its millisecond.
    let first = Numbering::default().number(Record::Window(window()), 0);
    assert_eq!((first.id, first.seq), (EntryId::default(), 1));
}

#[test]
fn the_clock_may_be_a_day_behind_and_no_more() {
    let last = |ms| (EntryId { ms, n: 0 }, 1);
    let day_ms = 24 * 60 * 60 * 1_000;
    let numbering =
        Numbering::after(PerStream { executions: last(5), queue: last(day_ms + 9), windows: last(8) });
    assert_eq!((numbering.last_ms(), Numbering::default().last_ms()), (day_ms + 9, 0));
    assert_eq!(numbering.clock_behind_ms(9, 0), Ok(day_ms));
    let expected =
        NumberingError { stream: Stream::Queue, last: EntryId { ms: day_ms + 9, n: 0 }, now_ms: 8 };
    assert_eq!(numbering.clock_behind_ms(8, 0), Err(expected.clone()));
    // Of ids up to there somebody has said that it was the clock that was wrong.
    assert_eq!(numbering.clock_behind_ms(8, day_ms + 8), Err(expected));
    assert_eq!(numbering.clock_behind_ms(8, day_ms + 9), Ok(day_ms + 1));
}

#[test]
fn positions_go_on_stream_by_stream_and_never_back() {
    let id = |ms| EntryId { ms, n: 0 };
    let mut positions = Positions::default();
    positions.advance(Stream::Queue, id(5));
    positions.advance(Stream::Queue, id(3));
    assert_eq!(Stream::ALL.map(|stream| positions.get(stream)), [id(0), id(5), id(0)]);
    assert!(
        Stream::ALL
            .iter()
            .all(|stream| Positions::end().get(*stream) == EntryId { ms: u64::MAX, n: u64::MAX })
    );
}

#[test]
fn the_first_stream_that_fails_is_the_answer() {
    let names = PerStream::try_from_fn(|stream| Ok::<_, ()>(stream.name()));
    assert_eq!(names, Ok(PerStream { executions: "executions", queue: "queue", windows: "windows" }));
    let refused =
        PerStream::<()>::try_from_fn(
            |stream| if stream == Stream::Executions { Ok(()) } else { Err(stream) },
        );
    assert_eq!(refused, Err(Stream::Queue));
    let mut lengths = PerStream::from_fn(|stream| stream.name().len());
    lengths[Stream::Windows] += 1;
    assert_eq!(Stream::ALL.map(|stream| lengths[stream]), [10, 5, 8]);
}

#[test]
fn a_window_says_what_goes_on_and_what_it_lacks_only_where_there_is_some() {
    let late = Window { running: 2, incomplete: true, in_corridor: false, ..window() };
    let (plain, said) = (fields(Record::Window(window())), fields(Record::Window(late)));
    assert!(!plain.contains("running") && !plain.contains("incomplete"), "{plain}");
    assert!(said.ends_with("in_corridor=0 running=2 incomplete=1"), "{said}");
    // Format 1 has no such fields, whatever stands there.
    let entry = Entry { version: FIRST_FORMAT, ..entry(Record::Window(late)) };
    let fields = entry.fields();
    let pairs = fields.iter().map(|(name, value)| (*name, value.as_str()));
    let read = Entry::decode(Stream::Windows, entry.id, pairs).unwrap();
    assert_eq!(read.record, Record::Window(Window { in_corridor: false, ..window() }));
}

fn asked() -> Arc<Statement> {
    Arc::new(Statement {
        class: "batch".to_owned(),
        user: "ann".to_owned(),
        database: "shop".to_owned(),
        application: "batch_night".to_owned(),
        client: "10.0.0.7:5123".to_owned(),
        session: Uuid::from_u128(7),
        transaction: Some(3),
        pid: 4711,
        backend_start: Some(1_800_000_000_123_456),
        tag: Some("17".to_owned()),
    })
}

#[test]
fn an_entry_of_a_real_database_says_whose_statement_it_was_and_what_was_answered() {
    let plain = fields(Record::Executed(ran()));
    let answer = Answer {
        sqlstate: Some("57014".to_owned()),
        rows: Some(2),
        duration_us: 1_500,
        cpu_us: Some(700),
        note: Some("ended by ROLLBACK".to_owned()),
    };
    let whose = "class=batch user=ann database=shop application=batch_night client=10.0.0.7:5123 \
                 session=00000000-0000-0000-0000-000000000007 transaction=3 pid=4711 \
                 backend_start=1800000000123456 tag=17";
    let told = Executed { statement: Some(asked()), answer: Some(Box::new(answer)), ..ran() };
    assert_eq!(
        fields(Record::Executed(told)),
        format!("{plain} {whose} sqlstate=57014 rows=2 duration_us=1500 cpu_us=700 note=ended by ROLLBACK")
    );
    // What is not known is not there.
    let least = Statement { transaction: None, backend_start: None, tag: None, ..(*asked()).clone() };
    let answer = Some(Box::new(Answer { duration_us: 9, ..Answer::default() }));
    let told = fields(Record::Executed(Executed { statement: Some(Arc::new(least)), answer, ..ran() }));
    assert!(told.ends_with("session=00000000-0000-0000-0000-000000000007 pid=4711 duration_us=9"), "{told}");
    let plain = fields(Record::Queue(delayed()));
    let told = QueueRecord { statement: Some(asked()), ..delayed() };
    assert_eq!(fields(Record::Queue(told)), format!("{plain} {whose}"));
}

#[test]
fn a_statement_that_lacks_a_part_is_refused_and_format_1_knows_none() {
    let entry = entry(Record::Queue(QueueRecord { statement: Some(asked()), ..delayed() }));
    let mut fields = entry.fields();
    let decode = |fields: &[(&'static str, String)]| {
        Entry::decode(Stream::Queue, entry.id, fields.iter().map(|(name, value)| (*name, value.as_str())))
    };
    fields.retain(|(name, _)| *name != "user");
    assert_eq!(decode(&fields), Err(DecodeError::Missing("user")));
    fields[0].1 = "1".to_owned();
    let Record::Queue(first) = decode(&fields).unwrap().record else { panic!("of the queue") };
    assert_eq!(first.statement, None);
}
