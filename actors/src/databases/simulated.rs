//! The simulated database, and who sends it queries.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs::{File, OpenOptions},
    io::{self, BufRead, BufReader, Seek, Write},
    path::Path,
};

use evenkeel_core::{
    journal::{Executed, Outcome, Released},
    server::queue::Finished,
    units::{
        ids::{ExecutionId, QueryId},
        resource::Usage,
        tick::Tick,
    },
    world::World,
};

use crate::ports::database::{Arrived, Database, Resolution, Sending, TickUsed, UsageProbe, Workload};

/// The simulated database, and its own record of what it ran.
pub struct Simulated {
    world: World,
    index: BTreeMap<QueryId, usize>,
    truth: Option<TruthFile>,
    /// What has not been told yet: all of it is known at once.
    finished: Vec<Finished>,
    used: Vec<TickUsed>,
}

impl Simulated {
    /// A database that keeps its own record in `truth`, when given.
    ///
    /// # Errors
    /// The record cannot be opened or read.
    pub fn new(world: World, truth: Option<&Path>) -> io::Result<Self> {
        let index = (0..world.query_count()).map(|index| (world.query(index), index)).collect();
        Ok(Self {
            world,
            index,
            truth: truth.map(TruthFile::open).transpose()?,
            finished: Vec::new(),
            used: Vec::new(),
        })
    }
}

impl Database for Simulated {
    /// It knows what it ran: a batch that comes again has its effect once.
    fn sending(&self) -> Sending {
        Sending::Again
    }

    fn start(&mut self, tick: Tick, batch: &[Executed]) -> io::Result<()> {
        let mut usage = Usage::default();
        for executed in batch {
            let index = self.index.get(&executed.query).ok_or_else(|| {
                io::Error::other(format!("query {} is not one of this database", executed.query))
            })?;
            usage += self.world.cost(*index, tick);
        }
        if let Some(truth) = &mut self.truth {
            truth.record(tick, batch)?;
        }
        let ended = |executed: &Executed| {
            let (execution, outcome) = (executed.execution, Outcome::Ok);
            Finished { execution, tick, outcome, answer: None }
        };
        self.finished.extend(batch.iter().map(ended));
        self.used.push(TickUsed { tick, usage });
        Ok(())
    }

    fn finished(&mut self) -> io::Result<Vec<Finished>> {
        Ok(std::mem::take(&mut self.finished))
    }

    fn resolve(&mut self, released: &Released) -> io::Result<Resolution> {
        // Whatever it was started with ran in its tick.
        Ok(Resolution::Ended(Outcome::Ok, released.tick))
    }
}

impl UsageProbe for Simulated {
    fn used(&mut self) -> io::Result<Vec<TickUsed>> {
        Ok(std::mem::take(&mut self.used))
    }
}

/// The simulated database's own clients.
pub struct SimulatedWorkload(pub World);

impl Workload for SimulatedWorkload {
    fn arrivals(&mut self, tick: Tick) -> Vec<Arrived> {
        self.0.arrivals(tick).into_iter().map(|index| self.0.query(index).into()).collect()
    }
}

/// An append-only text file of what ran: `tick execution query` a line. It belongs to the database, so
/// it knows nothing of the journal, and a check can hold one against the other.
struct TruthFile {
    file: File,
    /// The last tick in the file, and its executions: what comes again after a restart.
    last: (Tick, BTreeSet<ExecutionId>),
}

impl TruthFile {
    fn open(path: &Path) -> io::Result<Self> {
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
        let mut last = (Tick(0), BTreeSet::new());
        let mut whole_bytes = 0;
        let mut reader = BufReader::new(&file);
        let mut line = String::new();
        while reader.read_line(&mut line)? > 0 && line.ends_with('\n') {
            let (tick, execution) = parse(&line).ok_or_else(|| {
                io::Error::other(format!(
                    "{}: `{}` is not `tick execution query`",
                    path.display(),
                    line.trim_end()
                ))
            })?;
            if tick != last.0 {
                last = (tick, BTreeSet::new());
            }
            last.1.insert(execution);
            whole_bytes += line.len() as u64;
            line.clear();
        }
        // A line that was cut by a kill did not run: its batch comes again.
        file.set_len(whole_bytes)?;
        file.seek(io::SeekFrom::End(0))?;
        Ok(Self { file, last })
    }

    fn record(&mut self, tick: Tick, batch: &[Executed]) -> io::Result<()> {
        if tick != self.last.0 {
            self.last = (tick, BTreeSet::new());
        }
        let new = batch.iter().filter(|executed| !self.last.1.contains(&executed.execution));
        let mut lines = String::new();
        for executed in new {
            let _ = writeln!(lines, "{tick} {} {}", executed.execution, executed.query);
        }
        self.file.write_all(lines.as_bytes())?;
        self.last.1.extend(batch.iter().map(|executed| executed.execution));
        Ok(())
    }
}

fn parse(line: &str) -> Option<(Tick, ExecutionId)> {
    let mut words = line.split_whitespace();
    let tick = words.next()?.parse().ok()?;
    let execution = words.next()?.parse().ok()?;
    words.next()?.parse::<QueryId>().ok()?;
    Some((Tick(tick), execution))
}
