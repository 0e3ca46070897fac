//! Resource units as a plain array: the inner loops of the search add and compare millions of them.

use crate::units::resource::{PerResource, Resource};

/// Units of cpu, io and memory, in the order of [`Resource::ALL`].
pub(super) type Units = [f64; 3];

pub(super) fn units(of: &PerResource<f64>) -> Units {
    Resource::ALL.map(|r| of[r])
}

pub(super) fn plus(a: Units, b: Units) -> Units {
    [a[0] + b[0], a[1] + b[1], a[2] + b[2]]
}

pub(super) fn minus(a: Units, b: Units) -> Units {
    [a[0] - b[0], a[1] - b[1], a[2] - b[2]]
}

pub(super) fn times(a: Units, factor: f64) -> Units {
    a.map(|x| x * factor)
}

pub(super) fn sum(of: impl IntoIterator<Item = Units>) -> Units {
    of.into_iter().fold([0.0; 3], plus)
}
