//! Format 1 beside format 2: what was written in one stays in it.

use proptest::prelude::*;

use super::*;

const RAN: [(&str, &str); 11] = [
    ("v", "1"),
    ("seq", "7"),
    ("execution", "01a1fee0-cda3-74de-869e-ea810930f872"),
    ("query", "d9ab596e-a8b9-56c7-9985-f4d20b7022dc"),
    ("queued_tick", "5"),
    ("due_tick", "6"),
    ("tick", "6"),
    ("finished_tick", "6"),
    ("delay", "1"),
    ("reason", ""),
    ("outcome", "ok"),
];
const AT: (&str, &str) = ("executed_at", "1800000000000");

fn decode(stream: Stream, fields: &[(&str, &str)]) -> Result<Entry, DecodeError> {
    Entry::decode(stream, EntryId { ms: 1, n: 0 }, fields.iter().copied())
}

fn ran(version: &'static str, more: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
    let mut fields = vec![("v", version)];
    fields.extend(RAN[1..].iter().chain([&AT]).chain(more));
    fields
}

#[test]
fn an_entry_of_format_1_stays_one_byte_for_byte() {
    let fields = ran("1", &[]);
    let entry = decode(Stream::Executions, &fields).unwrap();
    assert_eq!(entry.version, FIRST_FORMAT);
    let again = entry.fields();
    assert_eq!(again.iter().map(|(name, value)| (*name, value.as_str())).collect::<Vec<_>>(), fields);
    // A field that format 1 does not know means nothing in it.
    let stranger = decode(Stream::Executions, &ran("1", &[("tenant", "acme"), ("trace", "00-1")])).unwrap();
    assert_eq!(stranger, entry);
}

#[test]
fn format_2_says_whose_it_was_and_of_which_trace_where_that_is_known() {
    let fields = ran("2", &[("tenant", "acme"), ("trace", "00-4bf9-01")]);
    let entry = decode(Stream::Executions, &fields).unwrap();
    let Record::Executed(executed) = &entry.record else { panic!("{entry:?}") };
    assert_eq!((executed.tenant.as_deref(), executed.trace.as_deref()), (Some("acme"), Some("00-4bf9-01")));
    let again = entry.fields();
    assert_eq!(again.iter().map(|(name, value)| (*name, value.as_str())).collect::<Vec<_>>(), fields);
    let silent = decode(Stream::Executions, &ran("2", &[])).unwrap();
    assert_eq!(silent.fields().len(), fields.len() - 2);
}

#[test]
fn only_format_2_knows_what_was_dropped() {
    let dropped = |version| {
        let fields = [
            ("v", version),
            ("seq", "7"),
            ("event", "dropped"),
            RAN[2],
            RAN[3],
            ("tick", "5"),
            ("due_tick", "6"),
            ("added_ticks", "0"),
        ];
        decode(Stream::Queue, &fields)
    };
    let refused = dropped("1").unwrap_err().to_string();
    assert!(refused.contains("expected queued, delayed or released"), "{refused}");
    let Record::Queue(record) = dropped("2").unwrap().record else { panic!("of the queue") };
    assert_eq!(record.event, QueueEvent::Dropped);
    assert_eq!(
        dropped("0").unwrap_err().to_string(),
        "field `v` is `0`: expected a format that there is, from 1 on"
    );
}

proptest! {
    #[test]
    fn whatever_is_written_in_a_format_is_read_as_it_was(record in record(), first: bool) {
        let record = match record {
            Record::Executed(executed) if !first => {
                Record::Executed(Executed { tenant: Some("t".to_owned()), trace: Some(String::new()), ..executed })
            }
            Record::Queue(event) if first && event.event == QueueEvent::Dropped => {
                Record::Queue(QueueRecord { event: QueueEvent::Queued, statement: None, ..event })
            }
            Record::Queue(event) if first => Record::Queue(QueueRecord { statement: None, ..event }),
            Record::Executed(executed) if first => {
                Record::Executed(Executed { statement: None, answer: None, ..executed })
            }
            Record::Window(window) if first => Record::Window(Window { running: 0, incomplete: false, ..window }),
            record => record,
        };
        let version = if first { FIRST_FORMAT } else { FORMAT };
        let entry = Entry { id: EntryId { ms: 1, n: 0 }, seq: 3, version, record };
        let fields = entry.fields();
        let pairs: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        prop_assert_eq!(decode(entry.record.stream(), &pairs), Ok(entry));
    }
}
