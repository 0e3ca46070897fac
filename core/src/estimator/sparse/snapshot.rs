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
    resource::PerResource,
};

/// Numbers of a [`Cost`].
const COST_NUMBERS: usize = 5;

/// A [`Sparse`] state, packed: ten thousand queries and two million terms are some 12 MB.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::estimator) struct SparseSnapshot {
    costs: Numbers,
    known: Vec<bool>,
    general: PerResource<GeneralSnapshot>,
    rows: Vec<RowSnapshot>,
    next: usize,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct GeneralSnapshot {
    /// Typical cost, background; their covariances' lower triangle; the spread.
    belief: Numbers,
    noise: Numbers,
    contradictions: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RowSnapshot {
    /// See [`pack`].
    terms: Bytes,
    length: Numbers,
    /// Which resources were measured, the first as the lowest bit.
    resources: u8,
    /// Value, error and pull of each of them.
    measured: Numbers,
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
            rows: sparse.rows.iter().map(RowSnapshot::of).collect(),
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
        let rows =
            self.rows.into_iter().map(|row| row.restore(queries)).collect::<Result<VecDeque<_>, _>>()?;
        if self.next > rows.len() {
            return Err(SnapshotError::Value { what: "next equation" });
        }
        let PerResource { cpu, io, memory } = self.general;
        Ok(Sparse {
            queries: queries_known
                .map(|(costs, known)| Query { known: *known, by_resource: *costs })
                .collect(),
            general: PerResource { cpu: cpu.restore()?, io: io.restore()?, memory: memory.restore()? },
            terms: rows.iter().map(|row| row.terms.len()).sum(),
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
        ];
        Self {
            belief: Numbers(numbers),
            noise: Numbers(general.noise.relative_variances().to_vec()),
            contradictions: general.contradictions,
        }
    }

    fn restore(self) -> Result<General, SnapshotError> {
        all("belief", &self.belief.0, |_| true)?;
        let &[typical, background, a, b, c, spread] = self.belief.0.as_slice() else {
            return Err(SnapshotError::Length { what: "beliefs", got: self.belief.0.len(), expected: 6 });
        };
        if a < 0.0 || c < 0.0 || spread <= 0.0 {
            return Err(SnapshotError::Value { what: "belief" });
        }
        let belief = Belief::restore(vec![typical, background], &[a, b, c]);
        Ok(General {
            belief,
            spread,
            noise: restore_noise(&self.noise)?,
            contradictions: self.contradictions,
        })
    }
}

impl RowSnapshot {
    fn of(row: &Row) -> Self {
        let present = row.measured.iter().enumerate().filter(|(_, measured)| measured.is_some());
        let measured = row.measured.iter().flatten().flat_map(|m| [m.value, m.error, m.pull]);
        Self {
            terms: Bytes(pack(&row.terms)),
            length: Numbers(vec![row.length]),
            resources: present.map(|(r, _)| 1 << r).sum(),
            measured: Numbers(measured.collect()),
        }
    }

    fn restore(self, queries: usize) -> Result<Row, SnapshotError> {
        let broken = SnapshotError::Value { what: "equation" };
        let terms = unpack(&self.terms.0, queries).ok_or(broken.clone())?;
        expect("lengths", self.length.0.len(), 1)?;
        expect("measurements", self.measured.0.len(), 3 * self.resources.count_ones() as usize)?;
        all("length", &self.length.0, |length| length >= 0.0)?;
        all("measurement", &self.measured.0, |_| true)?;
        let mut numbers = self.measured.0.as_chunks::<3>().0.iter();
        let mut measured = [None; 3];
        for (r, measured) in measured.iter_mut().enumerate() {
            if self.resources >> r & 1 == 1 {
                let &[value, error, pull] = numbers.next().ok_or(broken.clone())?;
                if error <= 0.0 {
                    return Err(broken);
                }
                *measured = Some(Measured { value, error, pull });
            }
        }
        if self.resources >= 1 << 3 || terms.is_empty() {
            return Err(broken);
        }
        Ok(Row { terms, length: self.length.0[0], measured })
    }
}

/// Terms in two bytes each, as a rule: the distance from the query before (7 bits a byte, the lowest
/// first, the highest bit says that more follow), then the weight if it is one of 1..=255, else 0 and its four bytes.
fn pack(terms: &[(u32, f32)]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(2 * terms.len());
    let mut before = 0;
    for (query, weight) in terms {
        let mut distance = query - before;
        before = *query;
        while distance > 0x7f {
            bytes.push(distance as u8 | 0x80);
            distance >>= 7;
        }
        bytes.push(distance as u8);
        let small = *weight as u8;
        if small > 0 && f32::from(small).to_bits() == weight.to_bits() {
            bytes.push(small);
        } else {
            bytes.push(0);
            bytes.extend(weight.to_be_bytes());
        }
    }
    bytes
}

/// None when no terms of that many queries pack into these bytes.
fn unpack(bytes: &[u8], queries: usize) -> Option<Vec<(u32, f32)>> {
    let mut bytes = bytes.iter().copied();
    let mut terms: Vec<(u32, f32)> = Vec::new();
    while bytes.len() > 0 {
        let (mut distance, mut shift) = (0u32, 0);
        loop {
            let byte = bytes.next()?;
            distance |= u32::from(byte & 0x7f).checked_shl(shift)?;
            shift += 7;
            if byte < 0x80 {
                break;
            }
        }
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
            prop_assert_eq!(unpack(&pack(&terms), 100_000), Some(terms));
        }

        #[test]
        fn any_bytes_are_terms_or_nothing(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            if let Some(terms) = unpack(&bytes, 1_000) {
                prop_assert!(terms.is_sorted_by(|a, b| a.0 < b.0));
                prop_assert!(terms.iter().all(|(query, _)| *query < 1_000));
            }
        }
    }
}
