//! Names of queries and executions.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The namespace of query ids made from a seed; drawn once, for this purpose only.
const QUERY_NAMESPACE: Uuid = Uuid::from_u128(0x6f9d_2c1e_8a47_4f53_9b60_e7d1_35ac_0842);

/// The namespace of query ids made from statements; drawn once, for this purpose only.
const STATEMENT_NAMESPACE: Uuid = Uuid::from_u128(0xb3d1_7a60_52fc_4e19_8c0d_94e6_f17b_2a85);

/// A kind of statement: stable over restarts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct QueryId(pub Uuid);

impl QueryId {
    /// The id of the `index`-th query of a simulated database: uuid v5 of (seed, index).
    pub fn simulated(seed: u64, index: usize) -> Self {
        Self(Uuid::new_v5(&QUERY_NAMESPACE, format!("{seed}/{index}").as_bytes()))
    }

    /// The id of a statement of a real database: uuid v5 of (database, how the fingerprint was made, fingerprint).
    pub fn of_statement(database: &str, algorithm: &str, fingerprint: &str) -> Self {
        // No name of a database holds a zero byte.
        let name = format!("{database}\0{algorithm}\0{fingerprint}");
        Self(Uuid::new_v5(&STATEMENT_NAMESPACE, name.as_bytes()))
    }
}

/// One run of a query: uuid v7.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ExecutionId(pub Uuid);

impl ExecutionId {
    /// A version 7 id (RFC 9562 §5.7): 48 bits of `unix_ms`, then 74 bits of `entropy`.
    ///
    /// `entropy` must not repeat within a millisecond; a counter under a random key serves.
    pub fn new(unix_ms: u64, entropy: u128) -> Self {
        let time = u128::from(unix_ms & 0xffff_ffff_ffff) << 80;
        let high = (entropy >> 62 & 0xfff) << 64;
        let low = entropy & 0x3fff_ffff_ffff_ffff;
        Self(Uuid::from_u128(time | 0x7 << 76 | high | 0b10 << 62 | low))
    }
}

macro_rules! text_form {
    ($name:ty) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }
    };
}

text_form!(QueryId);
text_form!(ExecutionId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_execution_id_is_version_7_and_keeps_time_and_entropy_apart() {
        let id = ExecutionId::new(1_800_000_000_123, u128::MAX).0;
        assert_eq!(id.get_version_num(), 7);
        assert_eq!(id.get_variant(), uuid::Variant::RFC4122);
        assert_eq!(id.as_u128() >> 80, 1_800_000_000_123);
        assert_ne!(ExecutionId::new(1, 1 << 73), ExecutionId::new(1, 1 << 61));
        assert_ne!(ExecutionId::new(1, 1 << 73), ExecutionId::new(1, 0));
    }

    #[test]
    fn later_ids_sort_later() {
        assert!(ExecutionId::new(2, 0) > ExecutionId::new(1, u128::MAX));
    }
}
