//! What prepared statements and portals mean.

use std::{collections::BTreeMap, sync::Arc};

use crate::{postgres::understood::Understood, units::ids::ExecutionId};

/// Names that are remembered of a session; what a later one means is unclear, so it is waited for and never held.
const NAMES_MAX: usize = 10_000;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Names {
    statements: BTreeMap<Arc<[u8]>, Arc<Understood>>,
    portals: BTreeMap<Arc<[u8]>, Portal>,
}

/// A statement with its parameters.
#[derive(Clone, Debug)]
pub(super) struct Portal {
    pub(super) means: Arc<Understood>,
    /// The run that has not come to its end.
    pub(super) run: Option<ExecutionId>,
}

impl Names {
    /// A Parse was scanned. Of a name that is known already, the server decides whether it takes on the new meaning: until
    /// then it is unclear.
    pub(super) fn parse(&mut self, name: &[u8], means: &Arc<Understood>) {
        let known = self.statements.contains_key(name);
        if known && !name.is_empty() {
            self.statements.remove(name);
        } else {
            self.learn(name, means);
        }
    }

    /// The server has taken it on.
    pub(super) fn learn(&mut self, name: &[u8], means: &Arc<Understood>) {
        if self.statements.len() < NAMES_MAX || name.is_empty() {
            self.statements.insert(name.into(), Arc::clone(means));
        }
    }

    /// What a statement's name means; none where that is unclear.
    pub(super) fn statement(&self, name: &[u8]) -> Option<&Arc<Understood>> {
        self.statements.get(name)
    }

    /// A name is closed, or has not come to be.
    pub(super) fn forget(&mut self, name: &[u8]) {
        self.statements.remove(name);
    }

    /// All names are closed.
    pub(super) fn forget_all(&mut self) {
        self.statements.clear();
    }

    /// A Bind was scanned; the run of that portal's which it ends.
    pub(super) fn bind(&mut self, portal: &[u8], means: Arc<Understood>) -> Option<ExecutionId> {
        if self.portals.len() >= NAMES_MAX && !portal.is_empty() {
            return None;
        }
        self.portals.insert(portal.into(), Portal { means, run: None }).and_then(|before| before.run)
    }

    /// A portal.
    pub(super) fn portal(&mut self, name: &[u8]) -> Option<&mut Portal> {
        self.portals.get_mut(name)
    }

    /// A portal is closed; its run that has not come to its end.
    pub(super) fn close(&mut self, portal: &[u8]) -> Option<ExecutionId> {
        self.portals.remove(portal).and_then(|before| before.run)
    }

    /// The transaction is over, and with it its portals; their runs that have not come to their end.
    pub(super) fn close_all(&mut self) -> Vec<ExecutionId> {
        std::mem::take(&mut self.portals).into_values().filter_map(|portal| portal.run).collect()
    }
}
