//! Texts that were understood, by their bytes, so that the same text again costs a look.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use evenkeel_core::postgres::understood::Understood;

/// Most texts: some times what an application has.
const TEXTS_MAX: usize = 10_000;
/// Most bytes of all of them, with what was understood.
const BYTES_MAX: usize = 64 * 1024 * 1024;
/// Longest text that is kept: a longer one is written by a program that will not write it again.
const TEXT_BYTES_MAX: usize = 64 * 1024;
/// What an entry costs beside its texts: the maps' slots, counts of references.
const ENTRY_BYTES: usize = 200;

/// Bounded; what was not asked for since it was last looked at goes first.
#[derive(Default)]
pub(super) struct Cache {
    databases: HashMap<Arc<str>, HashMap<Arc<str>, Entry>>,
    /// Of all databases, in the order in which they are looked at next.
    order: VecDeque<(Arc<str>, Arc<str>)>,
    bytes: usize,
}

struct Entry {
    understood: Arc<Understood>,
    bytes: usize,
    asked_again: bool,
}

impl Cache {
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Drops what was understood for `database`.
    pub(super) fn forget(&mut self, database: &str) {
        let dropped = self.databases.remove(database).unwrap_or_default();
        self.bytes -= dropped.values().map(|entry| entry.bytes).sum::<usize>();
        self.order.retain(|(of, _)| **of != *database);
    }

    pub(super) fn get(&mut self, database: &str, text: &str) -> Option<Arc<Understood>> {
        let entry = self.databases.get_mut(database)?.get_mut(text)?;
        entry.asked_again = true;
        Some(Arc::clone(&entry.understood))
    }

    /// Keeps `understood`, unless another thread has done so.
    pub(super) fn put(&mut self, database: &Arc<str>, text: &str, understood: &Arc<Understood>) {
        let is_there = self.databases.get(database).is_some_and(|texts| texts.contains_key(text));
        if text.len() > TEXT_BYTES_MAX || is_there {
            return;
        }
        let parts: usize = understood.parts.iter().map(|part| size_of_val(part) + part.text.len()).sum();
        let bytes = ENTRY_BYTES + text.len() + parts;
        while self.order.len() >= TEXTS_MAX || self.bytes + bytes > BYTES_MAX {
            if !self.drop_one() {
                return;
            }
        }
        let text: Arc<str> = text.into();
        let entry = Entry { understood: Arc::clone(understood), bytes, asked_again: false };
        self.databases.entry(Arc::clone(database)).or_default().insert(Arc::clone(&text), entry);
        self.order.push_back((Arc::clone(database), text));
        self.bytes += bytes;
    }

    /// Drops the first that was not asked for again. Each round forgets that one was, so this ends.
    fn drop_one(&mut self) -> bool {
        while let Some((database, text)) = self.order.pop_front() {
            let Some(texts) = self.databases.get_mut(&database) else { continue };
            match texts.get_mut(&text) {
                Some(entry) if entry.asked_again => {
                    entry.asked_again = false;
                    self.order.push_back((database, text));
                }
                Some(entry) => {
                    self.bytes -= entry.bytes;
                    texts.remove(&text);
                    if texts.is_empty() {
                        self.databases.remove(&database);
                    }
                    return true;
                }
                None => {}
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_is_bounded_and_keeps_what_is_asked_for() {
        let mut cache = Cache::default();
        let database: Arc<str> = "d".into();
        cache.put(&database, "kept", &Arc::default());
        for at in 0..3 * TEXTS_MAX {
            cache.put(&database, &format!("text {at}"), &Arc::default());
            assert!(cache.get("d", "kept").is_some());
        }
        assert_eq!(cache.order.len(), TEXTS_MAX);
        assert!(cache.get("d", "text 0").is_none());
        assert!(cache.get("e", "kept").is_none());
        let long = "x".repeat(TEXT_BYTES_MAX);
        for at in 0..2000 {
            cache.put(&database, &format!("{}{at:04}", &long[4..]), &Arc::default());
        }
        assert!(cache.bytes() <= BYTES_MAX && cache.bytes() > BYTES_MAX / 2);
        let held: usize = cache.databases.values().flat_map(HashMap::values).map(|entry| entry.bytes).sum();
        assert_eq!(held, cache.bytes());
        cache.put(&"e".into(), "kept", &Arc::default());
        cache.forget("d");
        assert!(cache.get("e", "kept").is_some() && cache.order.len() == 1 && cache.bytes() < 1000);
        cache.put(&database, &format!("{long}x"), &Arc::default());
        assert!(cache.get("d", &format!("{long}x")).is_none());
    }
}
