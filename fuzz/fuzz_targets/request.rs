//! Bodies of `POST /api/v1/control` and `/delay`, and what the queue makes of them.
#![no_main]

use evenkeel_core::server::control::ControlRequest;
use evenkeel_core::units::ids::ExecutionId;
use evenkeel_core::units::ids::QueryId;
use evenkeel_core::journal::Recovered;
use evenkeel_core::server::queue::HoldLimits;
use evenkeel_core::units::window::Measured;
use evenkeel_core::server::queue::RecordedQueue;
use evenkeel_core::units::lengths::Lengths;
use evenkeel_core::units::tick::Tick;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    let mut queue = RecordedQueue::recover(Lengths::default(), HoldLimits::default(), &Recovered::default());
    let arrivals = (0..4).map(|n| (ExecutionId::new(1, n), QueryId::simulated(1, 0)).into()).collect();
    queue.advance(Tick(0), 1, arrivals, Measured::default()).expect("the first tick");
    if let Ok(request) = serde_json::from_slice::<ControlRequest>(body) {
        let _ = queue.control(&request);
        // What was said about what waits must not hinder the next tick.
        queue.advance(Tick(1), 2, Vec::new(), Measured::default()).expect("the next tick");
    }
    if let Ok((execution, ticks)) = serde_json::from_slice::<(ExecutionId, u64)>(body) {
        let _ = queue.delay(execution, ticks, 3);
    }
});
