//! How many connections there may be at once: for so many there are file descriptors, and the process keeps what it needs
//! itself, to record, to ship and to read the journal for those who ask.
//!
//! ```text
//! open     0 ──────────── max ───────── max + SPARE ──────────▶
//!            answered          503, closed            wait in the system's queue
//! ```

use std::{
    any::Any,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use actix_web::{
    HttpResponse,
    dev::{Extensions, ServiceRequest},
    http::ConnectionType,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::problem::Problem;

/// Descriptors that are no connection's: some 50 are open at rest (threads' queues and wake-ups, the outbox and its log for
/// each who reads or writes it, Redis); the rest is for requests that read the journal, each for as long as it reads.
const RESERVE: usize = 80;
/// Fewest connections that are answered, however few descriptors there are.
const MAX_LEAST: usize = 8;
/// Most that are answered: some 20 kB each.
const MAX_MOST: usize = 4_096;
/// Taken beyond these, to be told so.
const SPARE: usize = 16;

/// Counts those of all threads.
#[derive(Clone, Debug)]
pub(super) struct Connections {
    open: Arc<AtomicUsize>,
    max: usize,
}

/// A connection, for as long as it is open.
struct Open {
    all: Arc<AtomicUsize>,
    is_too_much: bool,
}

impl Connections {
    /// As many as this process may have files open, after it has raised that to what the system allows it at all.
    pub(super) fn of_this_process() -> Self {
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).is_ok();
        let descriptors = if raised { maximum } else { current };
        // None is no limit.
        let descriptors = descriptors.and_then(|n| usize::try_from(n).ok()).unwrap_or(usize::MAX);
        let max = descriptors.saturating_sub(RESERVE + SPARE).clamp(MAX_LEAST, MAX_MOST);
        if max < MAX_MOST {
            tracing::info!(descriptors, max, "file descriptors limit the connections that are answered");
        }
        Self { open: Arc::default(), max }
    }

    /// Most that one of `threads` takes; further ones wait in the system's queue.
    pub(super) fn most_of_a_thread(&self, threads: usize) -> usize {
        (self.max + SPARE).div_ceil(threads)
    }

    /// Called with each connection, and with what is kept for it.
    pub(super) fn on_connect(&self) -> impl Fn(&dyn Any, &mut Extensions) + Clone + use<> {
        let Self { open, max } = self.clone();
        move |_, kept| {
            let before = open.fetch_add(1, Ordering::Relaxed);
            kept.insert(Open { all: Arc::clone(&open), is_too_much: before >= max });
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.all.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The answer to whoever comes when there are too many.
pub(super) fn refused(request: &ServiceRequest) -> Option<HttpResponse> {
    if !request.conn_data::<Open>().is_some_and(|open| open.is_too_much) {
        return None;
    }
    let problem = Problem::unavailable(
        "too many connections are open: close some, keep one for many requests, or raise the limit of open files",
    );
    let mut response = problem.to_response();
    response.head_mut().set_connection_type(ConnectionType::Close);
    Some(response)
}
