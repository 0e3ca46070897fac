//! A client's state whose checksum fits: what it says is restored, and goes on learning and deciding, or is refused.
#![no_main]

use evenkeel_core::leveller::ClientState;
use evenkeel_core::server::queue::HoldLimits;
use evenkeel_core::scheduler::PolicyName;
use evenkeel_core::scheduler::Scheduler;
use evenkeel_core::units::lengths::Lengths;
use evenkeel_core::units::tick::Tick;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(ClientState { estimator, scheduler, .. }) = postcard::from_bytes(bytes) else { return };
    let estimates = estimator.estimates();
    let Some(snapshot) = scheduler else { return };
    let restored = Scheduler::restore(PolicyName::Evenkeel, Lengths::default(), HoldLimits::default(), None, snapshot);
    if let Ok(mut scheduler) = restored {
        scheduler.decide(Tick(100), estimates);
    }
});
