use evenkeel_core::postgres::{classes::KIND_NAMES, lexer::Lexer, understood::Kind};
use proptest::prelude::*;

use super::*;

mod table;

fn functions() -> Arc<BTreeSet<String>> {
    let names = [
        "count",
        "sum",
        "lower",
        "now",
        "generate_series",
        "btrim",
        "extract",
        "substring",
        "left",
        "to_char",
    ];
    Arc::new(names.map(str::to_owned).into())
}

fn understands() -> PgQuery {
    let mut understands = PgQuery::new("d");
    understands.functions(functions());
    understands
}

fn one(text: &str) -> Part {
    let understood = understands().understand(text);
    assert!(understood.exact, "{text}");
    assert_eq!(understood.parts.len(), 1, "{text}");
    understood.parts[0].clone()
}

#[test]
fn statements_are_what_they_are() {
    let mut seen = BTreeSet::new();
    for (text, kind, sure_read) in table::statements() {
        let part = one(text);
        assert_eq!(part.kind, kind, "{text}");
        assert_eq!(part.sure_read, sure_read, "{text}");
        seen.insert(kind.name());
    }
    assert_eq!(seen, BTreeSet::from(KIND_NAMES), "each kind has a statement, and each name is a kind's");
}

#[test]
fn statements_that_differ_in_values_alone_are_one_query() {
    for (a, b) in table::ALIKE {
        assert_eq!(one(a).query, one(b).query, "{a} | {b}");
    }
    for (a, b) in table::DIFFERENT {
        assert_ne!(one(a).query, one(b).query, "{a} | {b}");
    }
    let other = PgQuery::new("e").understand("select 1").parts[0].query;
    assert_ne!(one("select 1").query, other, "of another database");
}

#[test]
fn several_statements_are_told_apart() {
    let text = "select 1; ; insert into t values (';') ; /* ; */ commit;";
    let understood = understands().understand(text);
    let kinds: Vec<_> = understood.parts.iter().map(|part| part.kind.name()).collect();
    assert_eq!(kinds, ["select", "insert", "commit"]);
    assert!(understood.exact);
    let rule = "create rule r as on insert to t do also (insert into u values (1); delete from v)";
    assert_eq!(one(rule).kind, Kind::Schema);
    let body = "create function f() returns int begin atomic select case when true then 1 end; select 2; end";
    assert_eq!(one(body).kind, Kind::Schema);
    // `atomic` is but a name here, and COMMIT a statement.
    let hidden = understands().understand("select 1 as begin; commit; select begin atomic from t; commit");
    assert_eq!(hidden.parts.len(), 4);
    for nothing in ["", " ", ";;", "-- x", "/* y */ ;"] {
        let understood = understands().understand(nothing);
        assert!(understood.parts.is_empty() && understood.exact, "{nothing:?}");
    }
}

#[test]
fn what_does_not_parse_is_known_by_its_words() {
    for (text, kind) in [
        ("selct 1", "other"),
        ("select from where", "select"),
        ("insert into t values ('x", "insert"),
        ("commit please", "commit"),
        ("select 1 \0 from t", "select"),
    ] {
        let understood = understands().understand(text);
        assert!(!understood.exact, "{text}");
        assert_eq!(understood.parts[0].kind.name(), kind, "{text}");
        assert!(!understood.parts[0].sure_read, "{text}");
    }
    // One part that does not parse makes the text inexact: the database refuses all of it.
    let understood = understands().understand("select 1; selct 2");
    assert!(!understood.exact && understood.parts.iter().all(|part| !part.sure_read));
}

#[test]
fn a_literal_whose_end_is_in_doubt_makes_nothing_sure() {
    let understood = understands().understand(r"select 'a\'; select secret; --'");
    assert!(!understood.exact);
    assert!(understood.parts.iter().all(|part| !part.sure_read && !part.text.contains("secret")));
}

#[test]
fn without_names_no_call_is_sure() {
    let mut understands = PgQuery::new("d");
    assert!(!understands.understand("select lower(x) from t").parts[0].sure_read);
    assert!(understands.understand("select x + 1 from t").parts[0].sure_read);
    understands.functions(functions());
    assert!(understands.understand("select lower(x) from t").parts[0].sure_read, "the cache forgets");
    let mut other = understands.for_database("e");
    assert!(!other.understand("select lower(x) from t").parts[0].sure_read, "another database has its own");
    understands.functions(Arc::default());
    assert!(!understands.understand("select lower(x) from t").parts[0].sure_read, "the cache forgets");
}

#[test]
fn tags_differ_and_the_text_stays_in_the_cache() {
    let mut understands = understands();
    for at in 0..100 {
        let text = format!("select 1 /*traceparent='{at}',class='batch'*/");
        let understood = understands.understand(&text);
        assert_eq!(understood.tags["traceparent"], at.to_string());
        assert_eq!(understood.tags["class"], "batch");
    }
    assert!(understands.understand("select 1").tags.is_empty());
    let counts = understands.counts();
    assert_eq!((counts.looked_at, counts.cached, counts.kinds), (1, 100, 1));
}

#[test]
fn threads_share_the_cache() {
    let understands = understands();
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let mut understands = understands.for_database("d");
            std::thread::spawn(move || {
                for at in 0..200 {
                    assert!(understands.understand(&format!("select c{at} from t")).exact);
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let counts = understands.counts();
    assert_eq!((counts.cached + counts.looked_at, counts.kinds), (800, 200));
}

#[test]
fn kinds_beyond_the_limit_are_other_and_counted() {
    let mut understands = understands();
    understands.shared().kinds_max = 2;
    let mut of = |text: &str| understands.understand(text).parts[0].clone();
    let (a, b) = (of("select a"), of("select b"));
    let (c, d) = (of("select c"), of("insert into d default values"));
    assert_ne!(a.query, b.query);
    assert_eq!((c.query, &*c.text, d.query), (d.query, "other", c.query));
    assert_eq!((d.kind, c.sure_read), (Kind::Insert, true));
    assert_eq!(of("select  a").query, a.query);
    assert_eq!(understands.counts().other, 2);
}

/// What would take a parser's stack, or hours of its time, if it could.
fn hostile() -> Vec<(&'static str, String)> {
    let n = 100_000;
    let nested = |open: &str, close: &str, n: usize| format!("select {}1{}", open.repeat(n), close.repeat(n));
    vec![
        ("open", format!("select {}", "(".repeat(n))),
        ("nested", nested("(", ")", n)),
        ("nested, as deep as is parsed", nested("(", ")", DEPTH_MAX)),
        ("subselects", nested("(select ", ")", DEPTH_MAX)),
        ("subselects in from", nested("x from (select ", ") as y", DEPTH_MAX)),
        ("calls", nested("f(", ")", DEPTH_MAX)),
        ("arrays", nested("array[", "]", DEPTH_MAX)),
        ("case", nested("case when true then ", " end", n)),
        ("case, fewer", nested("case when true then ", " end", 2000)),
        ("not", format!("select {} true", "not ".repeat(n))),
        ("minus", format!("select {} 1", "- ".repeat(n))),
        ("plus", format!("select 1{}", "+1".repeat(n))),
        ("concatenation", format!("select a{}", "||a".repeat(n))),
        ("and", format!("select a{}", " and b".repeat(n))),
        ("casts", format!("select a{}", "::int".repeat(n))),
        ("fields", format!("select a{}", ".b".repeat(n))),
        ("subscripts", format!("select a{}", "[1]".repeat(n))),
        ("union", format!("select 1{}", " union select 1".repeat(n / 2))),
        ("except", format!("select 1{}", " except all (select 1)".repeat(n / 3))),
        ("joins", format!("select 1 from a{}", " natural join a".repeat(n / 2))),
        ("values", format!("insert into t values (1){}", ",(1)".repeat(n))),
        ("in", format!("select 1 where a in (1{})", ",1".repeat(n))),
        ("columns", format!("select a{}", ",a".repeat(n))),
        ("with", format!("with a as (select 1){} select 1", ",a as (select 1)".repeat(n / 4))),
        ("explain", format!("{} select 1", "explain ".repeat(n))),
        ("prepare", format!("{} select 1", "prepare a as ".repeat(n / 4))),
        ("statements", "select 1;".repeat(n)),
        ("semicolons in brackets", format!("({}", ";".repeat(n))),
        ("comments", format!("select {}", "/*".repeat(n))),
        ("dollars", "$".repeat(n)),
        ("tags", "$a".repeat(n)),
        ("quotes", "'".repeat(n)),
        ("backslashes", format!("select E'{}", "\\".repeat(n))),
        ("a comment's tags", format!("/*{}*/", "a='".repeat(n))),
        ("pairs", format!("/*{}*/", "a='b'".repeat(n))),
        ("zeroes", "\0".repeat(n)),
        ("a long name", "a".repeat(n)),
        ("create atomic", format!("create function f() begin atomic {}", "case ;".repeat(n / 4))),
        ("chars", format!("select U&'{}' uescape '!'", "!0061".repeat(n / 4))),
    ]
}

/// On a stack as small as a thread's of tokio.
#[test]
fn hostile_texts_take_neither_stack_nor_time() {
    let small = std::thread::Builder::new().stack_size(2 * 1024 * 1024);
    let work = || {
        for (name, text) in hostile() {
            let understood = understands().understand(&text);
            let bounded = understood.parts.iter().all(|part| part.text.len() < 20_000 && !part.sure_read);
            assert!(bounded || understood.exact, "{name}");
        }
    };
    small.spawn(work).unwrap().join().unwrap();
}

const FRAGMENTS: &[&str] = &[
    "select", "1", "'a'", "''", "'", "\"", "E'\\''", "$$", "$a$", "--", "/*", "*/", "\n", " ", ";", "(", ")",
    "[", "]", ",", ".", "..", ":", "::", ":=", "=", "<=", "=>", "@-", "+", "-", "-1", "1.5e3", "0x1f", "$1",
    "a$b", "U&'x'", "u&\"y\"", "b'1'", "N'n'", "é", "\\", "{", "%", "~", "?", "|", "1e", "1.", ".5", "x",
    "e", "n", "u&", "*", "/", "\t", "\u{b}",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// What the database's lexer cuts, ours cuts at the same places.
    #[test]
    fn tokens_are_cut_where_the_database_cuts_them(parts in prop::collection::vec(prop::sample::select(FRAGMENTS), 0..12)) {
        let text = parts.concat();
        if let Ok(scanned) = pg_query::scan(&text) {
            let theirs: Vec<_> = scanned.tokens.iter().map(|token| text[token.start as usize..token.end as usize].trim_end()).collect();
            let ours: Vec<_> = Lexer::new(&text).map(|token| token.of(&text).trim_end()).collect();
            prop_assert_eq!(ours, theirs);
        }
    }

    #[test]
    fn no_text_is_too_strange(parts in prop::collection::vec(prop::sample::select(FRAGMENTS), 0..30), noise in "\\PC{0,20}") {
        let text = parts.concat() + &noise;
        let understood = understands().understand(&text);
        prop_assert!(understood.exact || understood.parts.iter().all(|part| !part.sure_read));
    }
}

/// Forms in which a literal can be written, with something secret in it.
fn literal(form: usize, secret: &str) -> String {
    match form {
        0 => format!("'{secret}'"),
        1 => format!("E'\\'{secret}'"),
        2 => format!("$${secret}$$"),
        3 => format!("$x${secret}$$ {secret}$x$"),
        4 => format!("U&'{secret}'"),
        5 => format!("'a'\n'{secret}'"),
        6 => format!("'it''s {secret}'"),
        _ => format!("N'{secret}'"),
    }
}

proptest! {
    #[test]
    fn no_literal_survives(at in 0..table::WITH_SECRET.len(), form in 0..8_usize, cut in 0..1000_usize, number in 10_000_000_u32..99_999_999) {
        let secret = format!("canary{number}");
        let template = table::WITH_SECRET[at];
        let whole = template.replace("{}", &literal(form, &secret)).replace("{n}", &number.to_string());
        // Also of a text that ends somewhere, as one that is typed.
        let end = (0..=whole.len().min(whole.len() * 1000 / (cut + 1))).rev().find(|end| whole.is_char_boundary(*end));
        for text in [whole.as_str(), &whole[..end.unwrap_or(0)]] {
            let understood = understands().understand(text);
            for part in &understood.parts {
                prop_assert!(!part.text.contains("canary") && !part.text.contains(&number.to_string()), "{text}: {}", part.text);
            }
        }
        let first = &understands().understand(&whole);
        prop_assert!(first.exact || form == 7 || template.contains('!'), "{whole}");
    }
}
