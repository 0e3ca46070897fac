//! What prepared statements and portals mean.

use std::{collections::BTreeMap, sync::Arc};

use crate::{postgres::understood::Understood, units::ids::ExecutionId};

/// Names that are remembered of a session; what a later one means is unclear, so it is waited for and never held.
const NAMES_MAX: usize = 10_000;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Names {
    statements: BTreeMap<Arc<[u8]>, Statement>,
    portals: BTreeMap<Arc<[u8]>, Portal>,
    /// Parses that were scanned.
    parses: u64,
}

/// What a statement's name means.
#[derive(Debug)]
struct Statement {
    /// By the last Parse of that name that was scanned; none where the server decides whether it takes that on.
    latest: Option<Arc<Understood>>,
    /// That Parse, and the batch in which it was scanned.
    parse: u64,
    batch: u64,
    /// Whether the server has answered it.
    answered: bool,
    /// To the server, by its last answer.
    confirmed: Option<Arc<Understood>>,
}

/// A statement with its parameters.
#[derive(Clone, Debug)]
pub(super) struct Portal {
    pub(super) means: Arc<Understood>,
    /// In which it was bound: the number of those that were scanned before.
    batch: u64,
    /// The run that has not come to its end, as the server has said.
    pub(super) run: Option<ExecutionId>,
    /// The run that was begun, whether or not the server has said anything of it: a portal has one.
    pub(super) begun: Option<ExecutionId>,
}

/// The same, of which nothing is sure.
fn probable(means: &Understood) -> Understood {
    let mut means = Understood { exact: false, ..means.clone() };
    means.parts.iter_mut().for_each(|part| part.sure_read = false);
    means
}

impl Names {
    /// A Parse was scanned in that batch; its number. Of a name that is known already, the server decides whether it takes on
    /// the new meaning: until then it is unclear.
    pub(super) fn parse(&mut self, name: &[u8], means: &Arc<Understood>, batch: u64) -> u64 {
        self.parses += 1;
        let parse = self.parses;
        let room = self.statements.len() < NAMES_MAX || name.is_empty();
        let latest = Some(Arc::clone(means));
        if let Some(known) = self.statements.get_mut(name) {
            let latest = latest.filter(|_| name.is_empty());
            let confirmed = known.confirmed.take();
            *known = Statement { latest, parse, batch, answered: false, confirmed };
        } else if room {
            let statement = Statement { latest, parse, batch, answered: false, confirmed: None };
            self.statements.insert(name.into(), statement);
        }
        parse
    }

    /// The server has taken it on. What was parsed or closed since counts nevertheless.
    pub(super) fn parsed(&mut self, name: &[u8], means: &Arc<Understood>, parse: u64) {
        if let Some(known) = self.statements.get_mut(name).filter(|known| known.parse >= parse) {
            known.confirmed = Some(Arc::clone(means));
            if known.parse == parse {
                (known.latest, known.answered) = (known.confirmed.clone(), true);
            }
        }
    }

    /// The server has not: it skips all up to the end of that batch, and then the meaning from before counts.
    pub(super) fn not_parsed(&mut self, name: &[u8], parse: u64) {
        if let Some(known) = self.statements.get_mut(name).filter(|known| known.parse == parse) {
            known.answered = true;
        }
    }

    /// It was not sent, nor will be anything of that batch: the meaning from before counts.
    pub(super) fn not_sent(&mut self, name: &[u8], parse: u64) {
        if let Some(known) = self.statements.get_mut(name).filter(|known| known.parse == parse) {
            (known.latest, known.answered) = (known.confirmed.clone(), true);
        }
    }

    /// What a statement's name means in that batch; none where that is unclear. A Parse of a batch before, which the server
    /// has not answered, may have been skipped after an error: what it says is probable and not sure.
    pub(super) fn statement(&self, name: &[u8], batch: u64) -> Option<Arc<Understood>> {
        let known = self.statements.get(name)?;
        match (known.batch == batch, known.answered) {
            (true, _) => known.latest.clone(),
            (false, true) => known.confirmed.clone(),
            (false, false) => known.latest.as_deref().map(probable).map(Arc::new),
        }
    }

    /// A name is closed.
    pub(super) fn forget(&mut self, name: &[u8]) {
        self.statements.remove(name);
    }

    /// All names are closed.
    pub(super) fn forget_all(&mut self) {
        self.statements.clear();
    }

    /// A Bind was scanned; the run of that portal's which it ends.
    pub(super) fn bind(&mut self, portal: &[u8], means: Arc<Understood>, batch: u64) -> Option<ExecutionId> {
        if self.portals.len() >= NAMES_MAX && !portal.is_empty() {
            return None;
        }
        self.portals
            .insert(portal.into(), Portal { means, batch, run: None, begun: None })
            .and_then(|before| before.run)
    }

    /// The portal of a run, unless another one has its name by now.
    pub(super) fn portal_of(&mut self, name: &[u8], run: Option<ExecutionId>) -> Option<&mut Portal> {
        self.portals.get_mut(name).filter(|portal| run.is_some() && portal.begun == run)
    }

    /// A portal.
    pub(super) fn portal(&mut self, name: &[u8]) -> Option<&mut Portal> {
        self.portals.get_mut(name)
    }

    /// A portal is closed; its run that has not come to its end.
    pub(super) fn close(&mut self, portal: &[u8]) -> Option<ExecutionId> {
        self.portals.remove(portal).and_then(|before| before.run)
    }

    /// The transaction of the first `batches` is over, and with it its portals; their runs that have not come to their end.
    pub(super) fn close_all(&mut self, batches: u64) -> Vec<ExecutionId> {
        let mut over = Vec::new();
        self.portals.retain(|_, portal| {
            let goes = portal.batch < batches;
            over.extend(portal.run.filter(|_| goes));
            !goes
        });
        over
    }
}
