//! Named points at which a kill test ends the process, and handlers in which it lets an actor panic or blocks it. Without the
//! cargo feature `faults` they are nothing, and the binary holds none of their names.

/// Dies here when `EVENKEEL_FAULT` says so: `after-outbox-write=1/50`, several separated by commas.
macro_rules! point {
    ($name:literal) => {
        #[cfg(feature = "faults")]
        $crate::supervise::fault::reached($name);
    };
}
pub(crate) use point;

/// An actor handles a message here: `panic-queue=1/50` lets it panic, `block-queue=1/50` blocks its arbiter.
macro_rules! handling {
    ($actor:literal) => {
        #[cfg(feature = "faults")]
        {
            $crate::supervise::fault::reached(concat!("panic-", $actor));
            $crate::supervise::fault::reached(concat!("block-", $actor));
        }
    };
}
pub(crate) use handling;

#[cfg(feature = "faults")]
mod restarts {
    use std::{cell::RefCell, collections::BTreeSet};

    use crate::supervise::health::ActorName;

    thread_local! {
        static FAILING: RefCell<BTreeSet<ActorName>> = const { RefCell::new(BTreeSet::new()) };
    }

    /// The next `restarting()` of this actor on this thread panics.
    pub fn fail_next_restart(of: ActorName) {
        FAILING.with_borrow_mut(|failing| failing.insert(of));
    }

    /// Panics when that was asked for.
    pub(crate) fn restarting(actor: ActorName) {
        let fails = FAILING.with_borrow_mut(|failing| failing.remove(&actor));
        assert!(!fails, "a fault in restarting()");
    }
}
#[cfg(feature = "faults")]
pub use restarts::fail_next_restart;
#[cfg(feature = "faults")]
pub(crate) use restarts::restarting;

/// Ends the process in one of `n` calls at a point for which `EVENKEEL_FAULT` says `name=1/n`. Nothing is
/// unwound or flushed, as with kill -9; standard error says which point it was, so that a harness can count.
/// One whose name begins with `panic-` panics instead, one with `block-` blocks its thread.
#[cfg(feature = "faults")]
pub(crate) fn reached(name: &str) {
    use std::{
        env,
        hash::{BuildHasher as _, RandomState},
        io::{Write as _, stderr},
        process::abort,
        sync::OnceLock,
        time::Duration,
    };

    const BLOCKED: Duration = Duration::from_secs(10);

    static POINTS: OnceLock<Vec<(String, u64)>> = OnceLock::new();
    let points = POINTS.get_or_init(|| {
        let text = env::var("EVENKEEL_FAULT").unwrap_or_default();
        let points = text.split(',').filter(|point| !point.is_empty()).map(|point| {
            let (name, one_in) = point.split_once("=1/").unwrap_or_else(|| unreadable(point));
            (name.to_owned(), one_in.parse().ok().filter(|n| *n > 0).unwrap_or_else(|| unreadable(point)))
        });
        points.collect()
    });
    let dies = |one_in: u64| RandomState::new().hash_one(name).is_multiple_of(one_in);
    if points.iter().any(|(point, one_in)| point == name && dies(*one_in)) {
        let _ = writeln!(stderr(), "fault: {name}");
        assert!(!name.starts_with("panic-"), "a fault in a handler");
        if name.starts_with("block-") {
            #[expect(clippy::disallowed_methods, reason = "an arbiter is to be blocked")]
            std::thread::sleep(BLOCKED);
            return;
        }
        abort();
    }
}

#[cfg(feature = "faults")]
fn unreadable(point: &str) -> ! {
    panic!("EVENKEEL_FAULT has `{point}`: expected name=1/n, as in after-outbox-write=1/50")
}
