//! Bytes leave as they came, whatever the splitting; nothing is too hostile.

use proptest::prelude::*;

use super::*;

fn client_message() -> impl Strategy<Value = Vec<u8>> {
    let texts =
        prop::sample::select(vec!["select", "insert; select", "begin", "commit", "copy", "", "?", "call"]);
    prop_oneof![
        texts.clone().prop_map(|text| {
            let mut out = Vec::new();
            put_query(&mut out, text);
            out
        }),
        texts.prop_map(run),
        Just(sync()),
        Just(message(b'H', b"")),
        Just(message(b'D', b"S\0")),
        Just(message(b'C', b"Ps\0")),
        (prop::sample::select(b"dFcf~".to_vec()), prop::collection::vec(any::<u8>(), 0..200))
            .prop_map(|(kind, body)| message(kind, &body)),
        Just(message(b'B', &[b"\0\0".to_vec(), vec![1; 70_000]].concat())),
        Just(message(b'P', &[b"x\0".to_vec(), vec![b'a'; 1_100_000], vec![0]].concat())),
        Just(message(b'Q', &[vec![b'a'; 1_100_000], vec![0]].concat())),
    ]
}

fn server_message() -> impl Strategy<Value = Vec<u8>> {
    let kinds = prop::sample::select(b"123tTnDCIEZsGHWdcANSVv".to_vec());
    let body = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..100),
        Just(b"I".to_vec()),
        Just(b"SELECT 1\0".to_vec()),
        Just(b"VERROR\0C22012\0\0".to_vec()),
        Just(vec![7; 100_000]),
    ];
    (kinds, body).prop_map(|(kind, body)| message(kind, &body))
}

/// Brings `bytes` in pieces of the given lengths, over and over.
fn in_pieces(bytes: &[u8], pieces: &[usize], mut bring: impl FnMut(&[u8])) {
    let (mut rest, mut lengths) = (bytes, pieces.iter().cycle());
    while !rest.is_empty() {
        let length = (*lengths.next().expect("there are some")).min(rest.len());
        bring(&rest[..length]);
        rest = &rest[length..];
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn what_the_client_sends_leaves_as_it_came(
        messages in prop::collection::vec(client_message(), 1..12),
        pieces in prop::collection::vec(prop_oneof![1usize..9, Just(4_096), Just(300_000)], 1..5),
        recording in prop::sample::select(vec![Recording::Commit, Recording::Async, Recording::Strict, Recording::Off]),
        enforce in any::<bool>(),
    ) {
        let bytes = messages.concat();
        let pieces: Vec<_> = if bytes.len() > 10_000 { pieces.iter().map(|length| length * 1_000).collect() } else { pieces };
        let mut lab = Lab::open(recording);
        lab.enforce = enforce;
        in_pieces(&bytes, &pieces, |piece| {
            lab.client(piece);
            lab.recorded();
        });
        while !lab.rest.is_empty() {
            let before = lab.rest.len();
            lab.recorded();
            prop_assert!(lab.rest.len() < before, "it does not stand still");
        }
        // A batch that nobody has ended may still wait for its end.
        lab.client(&sync());
        lab.recorded();
        let sent = [bytes, sync()].concat();
        prop_assert!(lab.out.to_server == sent, "{} of {} bytes", lab.out.to_server.len(), sent.len());
    }

    #[test]
    fn what_the_server_answers_arrives_as_it_came(
        messages in prop::collection::vec(server_message(), 1..20),
        asked in prop::collection::vec(client_message(), 0..6),
        pieces in prop::collection::vec(prop_oneof![1usize..9, Just(4_096), Just(300_000)], 1..5),
    ) {
        let mut lab = Lab::open(Recording::Async);
        lab.client(&asked.concat());
        let bytes = messages.concat();
        let mut input = Vec::new();
        in_pieces(&bytes, &pieces, |piece| {
            input.extend_from_slice(piece);
            let taken = lab.step(|session, context, out| session.server(&input, context, out));
            input.drain(..taken);
        });
        prop_assert!(input.is_empty());
        prop_assert!(lab.out.to_client == bytes, "{} of {} bytes", lab.out.to_client.len(), bytes.len());
    }

    #[test]
    fn nothing_is_too_hostile(
        of_client in prop::collection::vec(any::<u8>(), 0..300),
        of_server in prop::collection::vec(any::<u8>(), 0..300),
        login in any::<bool>(),
    ) {
        let mut lab = if login { Lab::login(Recording::Commit, true) } else { Lab::open(Recording::Commit) };
        lab.client(&of_client);
        lab.step(|session, context, out| session.server(&of_server, context, out));
        lab.recorded();
        lab.session.gone(0, &mut lab.out);
        prop_assert!(lab.session.is_over());
    }
}

#[test]
fn a_length_that_no_message_has_ends_the_session() {
    let mut lab = Lab::open(Recording::Commit);
    lab.client(b"Q\xff\xff\xff\xff");
    assert!(lab.session.is_over());
    assert_eq!(lab.told(), "E");
}

#[test]
fn a_message_of_a_gibibyte_passes_as_it_comes() {
    let mut lab = Lab::open(Recording::Async);
    lab.client(b"d\x3f\xff\xff\xff");
    lab.client(&vec![0; 100_000]);
    assert_eq!((lab.out.to_server.len(), lab.rest.len()), (100_005, 0));
}

#[test]
fn the_client_gets_a_secret_of_the_fronts_and_the_servers_pid() {
    let mut lab = Lab::login(Recording::Commit, true);
    lab.server(&message(b'R', &0i32.to_be_bytes()));
    lab.server(&message(b'K', &[0, 0, 0, 7, 1, 2, 3, 4]));
    assert_eq!(lab.out.to_client[9..], message(b'K', &[0, 0, 0, 7, 9, 9, 9, 9])[..]);
    assert!(matches!(&lab.out.events[..], [Event::Key { server, client }]
        if server.secret == [1, 2, 3, 4] && client.secret == [9; 4] && server.pid == 7 && client.pid == 7));
}

#[test]
fn a_client_that_the_server_did_not_ask_is_let_in_only_where_it_is_trusted() {
    let mut lab = Lab::login(Recording::Commit, false);
    lab.server(&message(b'R', &0i32.to_be_bytes()));
    assert!(lab.session.is_over());
    assert_eq!(lab.told(), "E");
}

#[test]
fn a_pool_behind_the_front_is_refused() {
    let mut lab = Lab::login(Recording::Commit, true);
    lab.server(&message(b'R', &0i32.to_be_bytes()));
    lab.server(&message(b'K', &[0, 0, 0, 7, 1, 2, 3, 4]));
    lab.server(&message(b'Z', b"I"));
    lab.server(&message(b'D', b"\0\x02\0\0\0\x018\xff\xff\xff\xff"));
    lab.step(|session, context, out| session.server(&message(b'Z', b"I"), context, out));
    assert!(lab.session.is_over());
}

#[test]
fn nothing_is_told_amid_a_message_of_the_servers() {
    for amid in [false, true] {
        let mut lab = Lab::open(Recording::Async);
        lab.query("select");
        let row = message(b'D', &[0; 20]);
        lab.server(&row[..if amid { 12 } else { row.len() }]);
        lab.out.to_client.clear();
        lab.client(b"Q\xff\xff\xff\xff");
        assert_eq!(lab.out.to_client.is_empty(), amid);
        assert!(lab.session.is_over());
    }
}
