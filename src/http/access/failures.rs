//! Logins that failed, by address. Tokens are 256 random bits, so nobody guesses one; whoever tries is slowed down and
//! counted (429 in the metrics), and nobody else is: a login that is right is never refused for others' failures.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// Failures at once that a person makes who looks for the right token.
const FAILURES_MAX: u32 = 10;
/// After them, one more in so long: ten a minute.
const ONE_EVERY: Duration = Duration::from_secs(6);
/// Addresses that are remembered, some 100 bytes each. A new one makes an older one's failures forgotten: that costs
/// nothing but the slowing down.
const ADDRESSES_MAX: usize = 10_000;

/// When the failures of an address will be forgotten, of those that are not.
#[derive(Debug, Default)]
pub(super) struct Failures(Mutex<HashMap<IpAddr, Instant>>);

impl Failures {
    /// Counts a failure of `address`.
    ///
    /// # Errors
    /// It is one too many; after so long there may be another one.
    pub(super) fn count(&self, address: IpAddr, now: Instant) -> Result<(), Duration> {
        let address = network(address);
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let forgotten = all.get(&address).copied().unwrap_or(now).max(now) + ONE_EVERY;
        let allowed = now + ONE_EVERY * FAILURES_MAX;
        if forgotten > allowed {
            return Err(forgotten - allowed);
        }
        if all.len() >= ADDRESSES_MAX && !all.contains_key(&address) {
            all.retain(|_, forgotten| *forgotten > now);
            if all.len() >= ADDRESSES_MAX
                && let Some(first) = all.iter().min_by_key(|(_, at)| **at).map(|(address, _)| *address)
            {
                all.remove(&first);
            }
        }
        all.insert(address, forgotten);
        Ok(())
    }
}

/// Who has one address of IPv6 has the 2^64 of its network.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_may_fail_ten_times_at_once_and_then_ten_times_a_minute() {
        let (failures, now) = (Failures::default(), Instant::now());
        let (one, other) = (address("192.0.2.1"), address("192.0.2.2"));
        for _ in 0..10 {
            assert_eq!(failures.count(one, now), Ok(()));
        }
        assert_eq!(failures.count(one, now), Err(Duration::from_secs(6)));
        assert_eq!(failures.count(other, now), Ok(()), "others have failures of their own");
        let later = now + Duration::from_secs(6);
        assert_eq!(failures.count(one, later), Ok(()));
        assert_eq!(failures.count(one, later), Err(Duration::from_secs(6)));
        let much_later = now + Duration::from_mins(10);
        for _ in 0..10 {
            assert_eq!(failures.count(one, much_later), Ok(()));
        }
        assert!(failures.count(one, much_later).is_err());
    }

    #[test]
    fn a_network_of_ipv6_is_one_address_and_a_mapped_one_is_what_it_is_mapped_to() {
        assert_eq!(network(address("2001:db8:1:2:3:4:5:6")), address("2001:db8:1:2::"));
        assert_eq!(network(address("2001:db8:1:2::")), network(address("2001:db8:1:2:ffff::1")));
        assert_ne!(network(address("2001:db8:1:2::1")), network(address("2001:db8:1:3::1")));
        assert_eq!(network(address("::ffff:192.0.2.1")), address("192.0.2.1"));
    }

    #[test]
    fn addresses_are_bounded_and_the_one_that_is_forgotten_first_makes_room() {
        let (failures, now) = (Failures::default(), Instant::now());
        let nth = |n: u32| IpAddr::V4(n.into());
        let often = nth(0);
        for _ in 0..10 {
            failures.count(often, now).unwrap();
        }
        for n in 1..=20_000 {
            failures.count(nth(n), now).unwrap();
        }
        assert_eq!(failures.0.lock().unwrap().len(), ADDRESSES_MAX);
        assert!(failures.count(often, now).is_err(), "who failed most is remembered longest");
        // One that is known takes nobody's place; and what is over makes room for all.
        failures.count(nth(20_000), now).unwrap();
        assert_eq!(failures.0.lock().unwrap().len(), ADDRESSES_MAX);
        failures.count(nth(30_000), now + Duration::from_mins(2)).unwrap();
        assert_eq!(failures.0.lock().unwrap().len(), 1);
    }

    #[test]
    fn who_is_known_takes_nobodys_place_and_what_is_over_at_this_instant_makes_room() {
        let (failures, now) = (Failures::default(), Instant::now());
        let nth = |n: usize| IpAddr::V4((n as u32).into());
        let remembered = || failures.0.lock().unwrap().len();
        for n in 0..ADDRESSES_MAX {
            failures.count(nth(n), now).unwrap();
        }
        // It is not the one that would go, so that a place that is taken would be missed.
        failures.count(nth(0), now).unwrap();
        failures.count(nth(0), now).unwrap();
        assert_eq!(remembered(), ADDRESSES_MAX);
        failures.count(nth(ADDRESSES_MAX), now + ONE_EVERY).unwrap();
        assert_eq!(remembered(), 2, "the new one, and the one that failed more than once");
    }
}
