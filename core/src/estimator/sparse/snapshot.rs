//! A sparse state's part of a snapshot.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::{
    Cost, General, Query, Sparse,
    rows::{Measured, Row},
};
use crate::{
    estimator::{
        belief::Belief,
        numbers::{Bytes, Numbers},
        snapshot::{SnapshotError, all, expect, restore_noise},
    },
    units::resource::PerResource,
};

/// Numbers of a [`Cost`].
const COST_NUMBERS: usize = 5;

/// A [`Sparse`] state, packed: ten thousand queries and all their equations are some 14 MB.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::estimator) struct SparseSnapshot {
    costs: Numbers,
    known: Vec<bool>,
    general: PerResource<GeneralSnapshot>,
    rows: RowsSnapshot,
    next: usize,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct GeneralSnapshot {
    /// Typical cost, background; their covariances' lower triangle; the spread; the excess of errors.
    belief: Numbers,
    noise: Numbers,
}

/// Rows side by side: there are tens of thousands, most of them short.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RowsSnapshot {
    /// Terms of each row: how many, and what [`pack`] makes of them.
    terms: Bytes,
    /// Which resources each row measures, the first as the lowest bit.
    resources: Bytes,
    /// Each row's length, then value, error and pull of each of its resources.
    numbers: Numbers,
}

impl SparseSnapshot {
    pub(in crate::estimator) fn of(sparse: &Sparse) -> Self {
        let costs = sparse.queries.iter().flat_map(|query| &query.by_resource).flat_map(|cost| {
            [cost.prior_mean, cost.prior_variance, cost.pull, cost.variance, cost.information]
        });
        Self {
            costs: Numbers(costs.collect()),
            known: sparse.queries.iter().map(|query| query.known).collect(),
            general: PerResource::from_fn(|r| GeneralSnapshot::of(&sparse.general[r])),
            rows: RowsSnapshot::of(&sparse.rows),
            next: sparse.next,
        }
    }

    pub(in crate::estimator) fn restore(self, queries: usize) -> Result<Sparse, SnapshotError> {
        expect("flags", self.known.len(), queries)?;
        expect("costs", self.costs.0.len(), queries * 3 * COST_NUMBERS)?;
        all("cost", &self.costs.0, |_| true)?;
        let costs: Vec<Cost> = self.costs.0.as_chunks::<COST_NUMBERS>().0.iter().map(cost).collect();
        if costs
            .iter()
            .any(|cost| cost.prior_variance <= 0.0 || cost.variance < 0.0 || cost.information < 0.0)
        {
            return Err(SnapshotError::Value { what: "variance" });
        }
        let by_resource = costs.as_chunks::<3>().0;
        let queries_known = by_resource.iter().zip(&self.known);
        let rows = self.rows.restore(queries).ok_or(SnapshotError::Value { what: "equation" })?;
        if self.next > rows.len() {
            return Err(SnapshotError::Value { what: "next equation" });
        }
        let PerResource { cpu, io, memory } = self.general;
        Ok(Sparse {
            queries: queries_known
                .map(|(costs, known)| Query { known: *known, by_resource: *costs })
                .collect(),
            general: PerResource { cpu: cpu.restore()?, io: io.restore()?, memory: memory.restore()? },
            size: rows.iter().map(Row::size).sum(),
            rows,
            next: self.next,
        })
    }
}

fn cost(&[prior_mean, prior_variance, pull, variance, information]: &[f64; COST_NUMBERS]) -> Cost {
    Cost { prior_mean, prior_variance, pull, variance, information }
}

impl GeneralSnapshot {
    fn of(general: &General) -> Self {
        let belief = &general.belief;
        let numbers = vec![
            belief.mean(0),
            belief.mean(1),
            belief.covariance(0, 0),
            belief.covariance(1, 0),
            belief.covariance(1, 1),
            general.spread,
            general.excess,
        ];
        Self { belief: Numbers(numbers), noise: Numbers(general.noise.relative_variances().to_vec()) }
    }

    fn restore(self) -> Result<General, SnapshotError> {
        all("belief", &self.belief.0, |_| true)?;
        let &[typical, background, a, b, c, spread, excess] = self.belief.0.as_slice() else {
            return Err(SnapshotError::Length { what: "beliefs", got: self.belief.0.len(), expected: 7 });
        };
        if a < 0.0 || c < 0.0 || spread <= 0.0 || excess < 0.0 {
            return Err(SnapshotError::Value { what: "belief" });
        }
        let belief = Belief::restore(vec![typical, background], &[a, b, c]);
        Ok(General { belief, spread, noise: restore_noise(&self.noise)?, excess })
    }
}

impl RowsSnapshot {
    fn of(rows: &VecDeque<Row>) -> Self {
        let (mut terms, mut resources, mut numbers) = (Vec::new(), Vec::new(), Vec::new());
        for row in rows {
            pack(&row.terms, &mut terms);
            let measured =
                || row.measured.iter().enumerate().filter_map(|(r, measured)| Some((r, (*measured)?)));
            resources.push(measured().map(|(r, _)| 1 << r).sum());
            numbers.push(row.length);
            numbers.extend(measured().flat_map(|(_, m)| [m.value, m.error, m.pull]));
        }
        Self { terms: Bytes(terms), resources: Bytes(resources), numbers: Numbers(numbers) }
    }

    /// None when no rows of that many queries have been written like this.
    fn restore(self, queries: usize) -> Option<VecDeque<Row>> {
        let mut bytes = self.terms.0.into_iter();
        let mut numbers = self.numbers.0.into_iter();
        let mut number = || numbers.next().filter(|number| number.is_finite());
        let mut rows = VecDeque::with_capacity(self.resources.0.len());
        for resources in self.resources.0 {
            let terms = unpack(&mut bytes, queries)?;
            let length = number()?;
            let mut measured = [None; 3];
            for (r, measured) in measured.iter_mut().enumerate() {
                if resources >> r & 1 == 1 {
                    let (value, error, pull) = (number()?, number()?, number()?);
                    *measured = (error > 0.0).then_some(Measured { value, error, pull });
                    (*measured)?;
                }
            }
            if terms.is_empty() || resources >= 1 << 3 || length < 0.0 {
                return None;
            }
            rows.push_back(Row { terms, length, measured });
        }
        (bytes.next().is_none() && numbers.next().is_none()).then_some(rows)
    }
}

/// How many terms, then each in two bytes, as a rule: the distance from the query before, then the weight if it is
/// one of 1..=255, else 0 and its four bytes.
fn pack(terms: &[(u32, f32)], bytes: &mut Vec<u8>) {
    pack_number(terms.len() as u32, bytes);
    let mut before = 0;
    for (query, weight) in terms {
        pack_number(query - before, bytes);
        before = *query;
        let small = *weight as u8;
        if small > 0 && f32::from(small).to_bits() == weight.to_bits() {
            bytes.push(small);
        } else {
            bytes.push(0);
            bytes.extend(weight.to_be_bytes());
        }
    }
}

/// Seven bits a byte, the lowest first; the highest bit says that more follow.
fn pack_number(mut number: u32, bytes: &mut Vec<u8>) {
    while number > 0x7f {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// None when no terms of that many queries pack into these bytes.
fn unpack(bytes: &mut impl Iterator<Item = u8>, queries: usize) -> Option<Vec<(u32, f32)>> {
    let count = unpack_number(bytes)?;
    let mut terms: Vec<(u32, f32)> = Vec::with_capacity(queries.min(count as usize));
    for _ in 0..count {
        let distance = unpack_number(bytes)?;
        let query = match terms.last() {
            Some((before, _)) if distance > 0 => before.checked_add(distance)?,
            Some(_) => return None,
            None => distance,
        };
        let weight = match bytes.next()? {
            0 => f32::from_be_bytes([bytes.next()?, bytes.next()?, bytes.next()?, bytes.next()?]),
            small => f32::from(small),
        };
        if query as usize >= queries || !weight.is_finite() {
            return None;
        }
        terms.push((query, weight));
    }
    Some(terms)
}

fn unpack_number(bytes: &mut impl Iterator<Item = u8>) -> Option<u32> {
    let (mut number, mut shift) = (0u32, 0);
    loop {
        let byte = bytes.next()?;
        number |= u32::from(byte & 0x7f).checked_shl(shift)?;
        shift += 7;
        if byte < 0x80 {
            return Some(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn terms_come_back_as_they_were(
            terms in prop::collection::btree_map(0u32..100_000, prop_oneof![Just(1.0f32), 0.0f32..1e6], 1..50),
        ) {
            let terms: Vec<_> = terms.into_iter().collect();
            let mut bytes = Vec::new();
            pack(&terms, &mut bytes);
            prop_assert_eq!(unpack(&mut bytes.into_iter(), 100_000), Some(terms));
        }

        #[test]
        fn any_bytes_are_terms_or_nothing(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            if let Some(terms) = unpack(&mut bytes.into_iter(), 1_000) {
                prop_assert!(terms.is_sorted_by(|a, b| a.0 < b.0));
                prop_assert!(terms.iter().all(|(query, _)| *query < 1_000));
            }
        }
    }
}
