//! The half minute after a leader that was killed, as a picture: as it was, and as it is.
//!
//! `EVENKEEL_WRITE=1 cargo test -p evenkeel-core --test leader picture` makes docs/leader.svg anew.

use std::{collections::BTreeMap, fmt::Write as _};

use evenkeel_core::{
    server::control::LEASE_TICKS_DEFAULT,
    units::tick::Tick,
    world::{Scenario, World},
};

use super::{After, CASES, GOES, JUDGED, MINUTE, after, circle::Circle, counts, wish};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/leader.svg");
/// Ticks that are shown before the leader goes.
const BEFORE: u64 = 100;
const LIMITS: [f64; 2] = [0.5, 1.5];
/// Of a tick's bar, and of the share 1, in pixels.
const TICK: f64 = 2.0;
const SHARE: f64 = 90.0;
/// The highest share that is drawn.
const SHARE_MAX: f64 = 2.2;
const PANEL: f64 = SHARE * SHARE_MAX + 58.0;
const LEFT: f64 = 44.0;

/// What ran in each tick until evenkeel held the stock itself: nothing but slots while the lease lived, and then what
/// arrives at once, with what is overdue up to twice the minute's mean.
fn as_it_was(scenario: Scenario, seed: u64) -> Vec<f64> {
    let mut circle = Circle::new(scenario, seed, None);
    let mut counts = Vec::new();
    for tick in (0..=GOES).map(Tick) {
        let (commit, executed, _) = circle.tick(tick);
        counts.push(executed.len());
        circle.read(&commit);
        if tick.0 < GOES {
            let request = circle.plan(tick, 1, false);
            circle.queue.control(&request).unwrap();
        }
    }
    let world = World::new(scenario.parameters(), seed).unwrap();
    let arrivals = |tick| world.arrivals(tick).len();
    let most = (2 * counts[counts.len() - MINUTE..].iter().sum::<usize>()).div_ceil(MINUTE);
    let mut waiting = circle.queue.queue().len();
    let mut slots = BTreeMap::<Tick, usize>::new();
    for planned in circle.queue.queue().planned().filter(|planned| !planned.held) {
        *slots.entry(planned.tick).or_default() += 1;
    }
    for tick in (GOES + 1..=GOES + JUDGED).map(Tick) {
        let ran = if tick.0 < GOES + LEASE_TICKS_DEFAULT {
            slots.get(&tick).copied().unwrap_or_default()
        } else {
            let on_time = arrivals(tick.previous());
            on_time + (waiting - on_time).min(most.saturating_sub(on_time).max(1))
        };
        counts.push(ran);
        waiting = waiting - ran + arrivals(tick);
    }
    counts.into_iter().map(|count| count as f64).collect()
}

fn panel(svg: &mut String, top: f64, title: &str, counts: &[f64]) {
    let first = (GOES - BEFORE) as usize;
    let mean = counts[GOES as usize - MINUTE..GOES as usize].iter().sum::<f64>() / MINUTE as f64;
    let (bottom, right) = (top + PANEL - 26.0, LEFT + TICK * (BEFORE + JUDGED) as f64);
    let y = |share: f64| bottom - SHARE * share.min(SHARE_MAX);
    let mut line = |text: String| writeln!(svg, "{text}").unwrap();
    line(format!(r#"<text x="{LEFT}" y="{:.0}" font-size="14">{title}</text>"#, top + 18.0));
    for (n, count) in counts[first..=(GOES + JUDGED) as usize].iter().enumerate() {
        let share = count / mean;
        let within = n as u64 <= BEFORE || (LIMITS[0]..=LIMITS[1]).contains(&share);
        let colour = if within { "#1f5fa8" } else { "#d55e00" };
        let (x, height) = (LEFT + TICK * n as f64, bottom - y(share));
        line(format!(
            r#"<rect x="{x:.0}" y="{:.1}" width="{TICK}" height="{height:.1}" fill="{colour}"/>"#,
            y(share)
        ));
    }
    for share in [0.0, 0.5, 1.0, 1.5, 2.0] {
        let (at, dash) = (y(share), if LIMITS.contains(&share) { "4 3" } else { "none" });
        let colour = if share == 0.0 || LIMITS.contains(&share) { "#333" } else { "#ddd" };
        line(format!(r#"<path d="M{LEFT} {at:.1}H{right}" stroke="{colour}" stroke-dasharray="{dash}"/>"#));
        line(format!(r#"<text x="{}" y="{:.1}" text-anchor="end">{share:.1}</text>"#, LEFT - 6.0, at + 4.0));
    }
    for second in (-10..=30).step_by(10) {
        let x = LEFT + TICK * (BEFORE as f64 + 10.0 * f64::from(second));
        line(format!(r#"<text x="{x}" y="{:.0}" text-anchor="middle">{second} s</text>"#, bottom + 16.0));
    }
    let goes = LEFT + TICK * BEFORE as f64;
    line(format!(r##"<path d="M{goes} {bottom}V{:.1}" stroke="#333"/>"##, y(SHARE_MAX)));
    line(format!(r#"<text x="{}" y="{:.1}">killed</text>"#, goes + 4.0, y(SHARE_MAX) + 10.0));
}

fn picture(before: &[f64], now: &[f64]) -> String {
    let (width, height) = (LEFT + TICK * (BEFORE + JUDGED) as f64 + 24.0, 2.0 * PANEL + 10.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height:.0}\" font-family=\"sans-serif\" \
         font-size=\"11\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    let what =
        "executions a tick over the minute's mean, x10, the only client killed; orange: beyond the limits";
    panel(&mut svg, 0.0, &format!("before: {what}"), before);
    panel(&mut svg, PANEL, &format!("now: {what}"), now);
    svg + "</svg>\n"
}

#[test]
fn the_picture_shows_a_stall_and_a_double_load_before_and_neither_now() {
    let kill = CASES.into_iter().find(|case| case.name == "kill -9 of the client").unwrap();
    let before = as_it_was(Scenario::X10, 1);
    let now = counts(Scenario::X10, 1, kill);
    let After { least, most, second } = after(&before);
    assert!(least == 0.0 && most > 1.8 && second > LIMITS[1], "{least}..{most}, a second {second}");
    let stall = before[GOES as usize..].iter().filter(|count| **count == 0.0).count();
    assert!((5..=9).contains(&stall), "{stall} ticks without an execution");
    let After { least, most, .. } = after(&now);
    assert!(least >= LIMITS[0] && most <= LIMITS[1], "{least}..{most}");
    if wish("EVENKEEL_WRITE").is_some() {
        std::fs::write(FILE, picture(&before, &now)).unwrap();
    }
}
