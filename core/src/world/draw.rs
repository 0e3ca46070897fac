//! Draws that are not uniform, with mathematical functions from `libm` only: the same bits on
//! every machine.

use std::f64::consts::PI;

use rand_core::Rng;

use super::SkewNormal;
use crate::chance::unit;

/// Exponential with mean 1.
pub(super) fn exponential(rng: &mut impl Rng) -> f64 {
    -libm::log(1.0 - unit(rng))
}

/// Exponential to the power of `exponent`, with mean 1: E[X^k] = Γ(1 + k). Whatever the exponent, one draw.
pub(super) fn share(rng: &mut impl Rng, exponent: f64) -> f64 {
    libm::pow(exponential(rng), exponent) / libm::tgamma(1.0 + exponent)
}

/// Two independent standard normals (Box and Muller 1958).
fn normals(rng: &mut impl Rng) -> (f64, f64) {
    let radius = libm::sqrt(2.0 * exponential(rng));
    let angle = 2.0 * PI * unit(rng);
    (radius * libm::cos(angle), radius * libm::sin(angle))
}

/// A standard normal.
pub(super) fn normal(rng: &mut impl Rng) -> f64 {
    normals(rng).0
}

/// Skew normal (Azzalini 1985): with δ = λ/√(1+λ²) and standard normals U, V it is
/// μ + σ(U√(1−δ²) + δ|V|). Its mean is μ + σδ√(2/π).
pub(super) fn skew_normal(rng: &mut impl Rng, shape: SkewNormal) -> f64 {
    let SkewNormal { location, scale, skew } = shape;
    let delta = skew / libm::sqrt(1.0 + skew * skew);
    let (u, v) = normals(rng);
    location + scale * (u * libm::sqrt(1.0 - delta * delta) + delta * v.abs())
}
