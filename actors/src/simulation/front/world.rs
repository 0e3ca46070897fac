//! A seed's world: what it decides by chance, the database, the journal's disk, what really happened.

use std::{cell::RefCell, collections::BTreeMap};

use evenkeel_core::{chance::Dice, journal::Mode, postgres::session::Recording};
use tokio::time::Instant;

use super::{
    super::dice::Draws as _,
    database::Database,
    ledger::{Kill, Writer},
    texts::Key,
    wire::{End, Line},
};
use crate::postgres::{front::Wire, recorder::WhenFull};

/// How often what goes wrong, in thousandths; a seed has some of it and not the rest.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Weather {
    /// A statement fails, runs for long, or for as long as somebody lets it.
    pub(super) fails: u64,
    pub(super) slow: u64,
    pub(super) hangs: u64,
    /// A backend dies at one of the places where that makes a difference.
    pub(super) backend_dies: u64,
    /// In each of the world's steps.
    pub(super) server_dies: u64,
    pub(super) killed: u64,
    pub(super) disk_troubled: u64,
    pub(super) client_leaves: u64,
    pub(super) cancels: u64,
    /// Whether clients send the next turn before the last one is answered.
    pub(super) hurries: u64,
}

/// What became of a statement in the database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Fate {
    /// When its effect came to stay.
    pub(super) acted: Option<Instant>,
    /// When evenkeel had written the last byte that it took.
    pub(super) written: Option<Instant>,
    /// Whether the database has said that it succeeded.
    pub(super) completed: bool,
}

/// Everything but the database.
pub(super) struct Around {
    pub(super) dice: Dice,
    pub(super) weather: Weather,
    pub(super) began: Instant,
    pub(super) writer: Writer,
    pub(super) recording: Recording,
    pub(super) when_full: WhenFull,
    /// Whether the disk was in trouble at some time.
    pub(super) troubled: bool,
    pub(super) fates: BTreeMap<Key, Fate>,
    /// Effects without a record, when they came to stay.
    pub(super) unrecorded: Vec<Key>,
    /// When processes were killed.
    pub(super) kills: Vec<Kill>,
    /// Statements that processes before this one have passed without a record.
    pub(super) gap: u64,
    pub(super) tags: u64,
    pub(super) story: Vec<String>,
    pub(super) traces: bool,
}

pub(super) struct World {
    pub(super) database: Database,
    pub(super) around: Around,
    /// All connections that evenkeel has.
    pub(super) lines: Vec<Line>,
}

thread_local! {
    static WORLD: RefCell<Option<World>> = const { RefCell::new(None) };
}

/// Looks at or changes this thread's world.
pub(super) fn with<T>(f: impl FnOnce(&mut World) -> T) -> T {
    WORLD.with_borrow_mut(|world| f(world.as_mut().expect("a world has been begun")))
}

/// Begins the world of `seed`.
pub(super) fn begin(seed: u64, traces: bool) {
    let mut dice = Dice::new(seed);
    let mut often = |most: u64| if dice.hits(500) { 0 } else { dice.roll(most) };
    let weather = Weather {
        fails: often(150),
        slow: often(300),
        hangs: often(60),
        backend_dies: often(60),
        server_dies: often(8),
        killed: often(20),
        disk_troubled: often(20),
        client_leaves: often(60),
        cancels: often(150),
        hurries: often(700),
    };
    let recordings = [Recording::Commit, Recording::Commit, Recording::Strict, Recording::Async];
    let recording = dice.pick(&recordings);
    let when_full = if dice.hits(200) { WhenFull::Pass } else { WhenFull::Refuse };
    let mode = if dice.hits(850) { Mode::Enforce } else { Mode::Shadow };
    let around = Around {
        dice,
        weather,
        began: Instant::now(),
        writer: Writer::new(mode),
        recording,
        when_full,
        troubled: false,
        fates: BTreeMap::new(),
        unrecorded: Vec::new(),
        kills: Vec::new(),
        gap: 0,
        tags: 0,
        story: Vec::new(),
        traces,
    };
    WORLD.set(Some(World { database: Database::default(), around, lines: Vec::new() }));
    with(|world| {
        let Around { recording, when_full, weather, .. } = world.around;
        world.around.tell(|| format!("{recording:?}, {when_full:?}, {mode:?}, {weather:?}"));
    });
}

/// Connects evenkeel with the database.
pub(super) fn connect() -> std::io::Result<Wire> {
    with(|world| {
        let line = world.database.connect(&mut world.around)?;
        world.lines.push(Line::clone(&line));
        Ok(Box::new(End(line)) as Wire)
    })
}

impl World {
    /// What is on its way moves on; whether something did.
    pub(super) fn flow(&mut self) -> bool {
        let mut moved = false;
        for line in &self.lines {
            moved |= line.borrow_mut().flow(&mut self.around.dice);
        }
        self.lines.retain(|line| !line.borrow().is_over());
        moved
    }
}

impl Around {
    pub(super) fn tell(&mut self, what: impl FnOnce() -> String) {
        if self.traces {
            let ms = self.began.elapsed().as_micros() as f64 / 1_000.0;
            let what = what();
            self.story.push(format!("{ms:.0} ms: {what}"));
        }
    }

    /// The journal's writer does something.
    pub(super) fn write(&mut self) {
        let written = self.writer.act(&mut self.dice);
        if !written.is_empty() {
            self.tell(|| format!("durable: {}", written.join(", ")));
        }
    }

    /// Good weather from now on.
    pub(super) fn calm_down(&mut self) {
        self.weather = Weather::default();
        self.writer.trouble = None;
    }

    pub(super) fn tag(&mut self) -> u64 {
        self.tags += 1;
        self.tags
    }

    /// The database has come so far with a statement.
    pub(super) fn acted(&mut self, key: Key) {
        let recorded = self.writer.has(key);
        self.fates.entry(key).or_default().acted = Some(Instant::now());
        if !recorded {
            self.unrecorded.push(key);
            assert!(
                self.recording == Recording::Async || self.when_full == WhenFull::Pass,
                "{key:?} has an effect and no durable record"
            );
        }
    }

    /// The same of what no transaction holds back. Inside of one only `strict` promises its record.
    pub(super) fn acted_outside(&mut self, key: Key, alone: bool) {
        if alone || self.recording == Recording::Strict {
            self.acted(key);
        }
    }
}
