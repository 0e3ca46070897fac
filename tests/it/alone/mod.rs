//! What measures ticks, or how level a load is, and so needs the machine for itself. `make test` runs these after all
//! others, one by one: `cargo test --test it -- --test-threads 1 alone::`.

mod poll;
mod resources;
mod stopped;
mod weather;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Held by each of them: also a plain `cargo test` runs no two at once.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}
