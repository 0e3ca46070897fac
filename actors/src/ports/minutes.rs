//! Where minutes are kept over a restart.

use std::sync::Arc;

use evenkeel_core::insight::minutes::Minute;

/// Keeps minutes for people. What cannot be kept or read is missing in pictures and nowhere else. Its calls block.
pub trait KeepMinutes: Send + Sync {
    /// What was kept, and what a person should know of what could not be read: that is out of the way afterwards.
    fn load(&self) -> (Vec<Minute>, Option<String>);

    /// Keeps these in place of those before.
    ///
    /// # Errors
    /// Why not, for people; what was kept before is untouched.
    fn save(&self, minutes: &[Minute]) -> Result<(), String>;
}

/// The one that a program has.
pub type Kept = Arc<dyn KeepMinutes>;
