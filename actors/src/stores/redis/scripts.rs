//! Scripts: steps that must be one, each with its check of who may take them.

use redis::Script;

/// All of them, hashed once.
pub(crate) struct Scripts {
    pub(crate) claim: Script,
    pub(crate) trim: Script,
    pub(crate) acquire: Script,
    pub(crate) release: Script,
    pub(crate) read: Script,
    pub(crate) save: Script,
}

impl Scripts {
    pub(crate) fn new() -> Self {
        Self {
            claim: Script::new(include_str!("scripts/claim.lua")),
            trim: Script::new(concat!(
                include_str!("scripts/earlier.lua"),
                include_str!("scripts/tick.lua"),
                include_str!("scripts/trim.lua")
            )),
            acquire: Script::new(include_str!("scripts/acquire.lua")),
            release: Script::new(include_str!("scripts/release.lua")),
            read: Script::new(include_str!("scripts/read.lua")),
            save: Script::new(concat!(include_str!("scripts/earlier.lua"), include_str!("scripts/save.lua"))),
        }
    }
}
