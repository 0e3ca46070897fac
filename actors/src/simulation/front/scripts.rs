//! What clients send, by chance: turns of one batch or several, as drivers make them.

use evenkeel_core::postgres::{
    frames::{put, put_text},
    replies::{put_query, put_sync},
};

use super::{super::dice::Draws as _, world::Around};

/// What a client sends at once.
#[derive(Clone, Debug, Default)]
pub(super) struct Turn {
    pub(super) bytes: Vec<u8>,
    /// `ReadyForQuery` that it waits for.
    pub(super) ends: usize,
    /// Whether it waits for answers in the middle of a batch.
    pub(super) flushed: bool,
    /// What comes next of the same batch.
    pub(super) then: Option<Box<Turn>>,
}

/// A statement that does something, or reads.
fn statement(around: &mut Around) -> &'static str {
    let of = [
        "insert into t values (1)",
        "insert into t values (1)",
        "update t set a = 1",
        "select 1",
        "select 1",
        "select writes()",
        "select outside()",
        "call p()",
        // Nothing that the grammar knows.
        "insert into t values (1) zap",
    ];
    around.dice.pick(&of)
}

/// One that begins or ends a transaction.
fn control(around: &mut Around) -> &'static str {
    let of = ["begin", "begin", "start transaction", "commit", "commit", "end", "rollback", "commit zap"];
    around.dice.pick(&of)
}

fn any(around: &mut Around) -> &'static str {
    if around.dice.hits(300) { control(around) } else { statement(around) }
}

/// `bare` with a tag of its own, and now and then of a class that may wait.
fn tagged(bare: &str, around: &mut Around) -> String {
    let tag = around.tag();
    let class = if around.dice.hits(250) { ",class='batch'" } else { "" };
    format!("{bare} /*truth='{tag}'{class}*/")
}

fn parse(out: &mut Vec<u8>, name: &str, text: &str) {
    put(out, b'P', |body| {
        put_text(body, name);
        put_text(body, text);
        body.extend_from_slice(&[0, 0]);
    });
}

fn bind(out: &mut Vec<u8>, portal: &str, name: &str) {
    put(out, b'B', |body| {
        put_text(body, portal);
        put_text(body, name);
        body.extend_from_slice(&[0; 6]);
    });
}

fn execute(out: &mut Vec<u8>, portal: &str, limit: i32) {
    put(out, b'E', |body| {
        put_text(body, portal);
        body.extend_from_slice(&limit.to_be_bytes());
    });
}

/// Parse, Bind, perhaps Describe, Execute.
fn run(out: &mut Vec<u8>, text: &str, around: &mut Around) {
    parse(out, "", text);
    bind(out, "", "");
    if around.dice.hits(500) {
        put(out, b'D', |body| body.extend_from_slice(b"P\0"));
    }
    execute(out, "", 0);
}

/// A turn. `prepared` are names that the client has for BEGIN, COMMIT and ROLLBACK, as pgjdbc makes them.
pub(super) fn turn(around: &mut Around, prepared: &mut Vec<&'static str>) -> Turn {
    match around.dice.weigh(&[30, 15, 20, 15, 8, 15, 10, 6, 3]) {
        0 => query(vec![any(around)], around),
        1 => several(around),
        2 => pipeline(1, around),
        3 => {
            let count = 2 + around.dice.roll(3);
            pipeline(count, around)
        }
        4 => flushed(around),
        5 => transaction(around),
        6 => by_name(around, prepared),
        7 => piecewise(around),
        _ => long(around),
    }
}

fn query(statements: Vec<&str>, around: &mut Around) -> Turn {
    let mut bytes = Vec::new();
    let statements: Vec<_> = statements.into_iter().map(|statement| tagged(statement, around)).collect();
    put_query(&mut bytes, &statements.join("; "));
    Turn { bytes, ends: 1, ..Turn::default() }
}

fn several(around: &mut Around) -> Turn {
    let count = 2 + around.dice.roll(3);
    let statements = (0..count).map(|_| any(around)).collect();
    query(statements, around)
}

fn pipeline(count: u64, around: &mut Around) -> Turn {
    let (mut bytes, mut ends) = (Vec::new(), 0);
    for _ in 0..count {
        let text = tagged(any(around), around);
        run(&mut bytes, &text, around);
        if around.dice.hits(200) {
            put_sync(&mut bytes);
            ends += 1;
        }
    }
    put_sync(&mut bytes);
    Turn { bytes, ends: ends + 1, ..Turn::default() }
}

/// As asyncpg does on the first use of a statement.
fn flushed(around: &mut Around) -> Turn {
    let (mut bytes, mut then) = (Vec::new(), Vec::new());
    let flush = |out: &mut Vec<u8>| put(out, b'H', |_| {});
    if around.dice.hits(500) {
        parse(&mut bytes, "", &tagged(any(around), around));
        put(&mut bytes, b'D', |body| body.extend_from_slice(b"S\0"));
        bind(&mut then, "", "");
        execute(&mut then, "", 0);
    } else {
        let text = tagged(any(around), around);
        run(&mut bytes, &text, around);
        let text = tagged(any(around), around);
        run(&mut then, &text, around);
    }
    flush(&mut bytes);
    put_sync(&mut then);
    let then = Turn { bytes: then, ends: 1, ..Turn::default() };
    Turn { bytes, ends: 0, flushed: true, then: Some(Box::new(then)) }
}

/// Texts of a whole transaction, at once or one after the other; or each with its BEGIN in the same batch, as pgjdbc does.
fn transaction(around: &mut Around) -> Turn {
    let ends = around.dice.pick(&["commit", "commit", "rollback", "end"]);
    let count = 1 + around.dice.roll(3);
    let mut texts = vec!["begin"];
    texts.extend((0..count).map(|_| statement(around)));
    texts.push(ends);
    let pgjdbc = around.dice.hits(300);
    let mut turns = Vec::new();
    let mut batch = Vec::new();
    for (at, text) in texts.into_iter().enumerate() {
        if pgjdbc {
            let text = tagged(text, around);
            run(&mut batch, &text, around);
            if at > 0 {
                put_sync(&mut batch);
                turns.push(Turn { bytes: std::mem::take(&mut batch), ends: 1, ..Turn::default() });
            }
        } else {
            turns.push(query(vec![text], around));
        }
    }
    if around.dice.hits(400) {
        let bytes = turns.iter().flat_map(|turn| turn.bytes.iter().copied()).collect();
        return Turn { bytes, ends: turns.len(), ..Turn::default() };
    }
    turns.into_iter().rev().fold(Turn::default(), |then, turn| {
        let then = (!then.bytes.is_empty()).then(|| Box::new(then));
        Turn { then, ..turn }
    })
}

/// BEGIN, COMMIT or ROLLBACK by a name that was prepared before.
fn by_name(around: &mut Around, prepared: &mut Vec<&'static str>) -> Turn {
    let text = around.dice.pick(&["begin", "commit", "rollback", "commit"]);
    let (mut bytes, mut ends) = (Vec::new(), 1);
    if !prepared.contains(&text) {
        prepared.push(text);
        parse(&mut bytes, text, text);
        if around.dice.hits(500) {
            put_sync(&mut bytes);
            ends += 1;
        }
    }
    if around.dice.hits(500) {
        let text = tagged(statement(around), around);
        run(&mut bytes, &text, around);
    }
    bind(&mut bytes, "", text);
    execute(&mut bytes, "", 1);
    put_sync(&mut bytes);
    Turn { bytes, ends, ..Turn::default() }
}

/// A portal that is read in two pieces.
fn piecewise(around: &mut Around) -> Turn {
    let mut bytes = Vec::new();
    parse(&mut bytes, "", &tagged("select 1", around));
    bind(&mut bytes, "p", "");
    execute(&mut bytes, "p", 1);
    match around.dice.roll(3) {
        0 => execute(&mut bytes, "p", 1),
        1 => {
            let text = tagged(statement(around), around);
            run(&mut bytes, &text, around);
        }
        _ => put(&mut bytes, b'C', |body| body.extend_from_slice(b"Pp\0")),
    }
    put_sync(&mut bytes);
    Turn { bytes, ends: 1, ..Turn::default() }
}

/// A Bind that is too long to be looked at as a whole.
fn long(around: &mut Around) -> Turn {
    let mut bytes = Vec::new();
    parse(&mut bytes, "", &tagged(statement(around), around));
    put(&mut bytes, b'B', |body| {
        body.extend_from_slice(&[0, 0, 0, 0, 0, 1]);
        body.extend_from_slice(&70_000_u32.to_be_bytes());
        body.extend(std::iter::repeat_n(b'x', 70_000));
        body.extend_from_slice(&[0, 0]);
    });
    execute(&mut bytes, "", 0);
    put_sync(&mut bytes);
    Turn { bytes, ends: 1, ..Turn::default() }
}
