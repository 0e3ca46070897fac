//! The three resources that are levelled, and one value for each of them.

use std::{
    fmt,
    ops::{Add, AddAssign, Index, IndexMut},
};

use serde::{Deserialize, Serialize};

/// What an execution uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Resource {
    /// Processor time.
    Cpu,
    /// Disk and network transfer.
    Io,
    /// Working memory.
    Memory,
}

impl Resource {
    /// All of them, in the order in which they are printed.
    pub const ALL: [Self; 3] = [Self::Cpu, Self::Io, Self::Memory];

    /// As it stands in JSON, field names and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Io => "io",
            Self::Memory => "memory",
        }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One value a resource.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PerResource<T> {
    /// The value for [`Resource::Cpu`].
    pub cpu: T,
    /// The value for [`Resource::Io`].
    pub io: T,
    /// The value for [`Resource::Memory`].
    pub memory: T,
}

/// Resource units used in one tick, or over several.
pub type Usage = PerResource<u64>;

impl<T> PerResource<T> {
    /// The value that `f` gives for each resource.
    pub fn from_fn(mut f: impl FnMut(Resource) -> T) -> Self {
        Self { cpu: f(Resource::Cpu), io: f(Resource::Io), memory: f(Resource::Memory) }
    }

    /// Each value changed by `f`.
    pub fn map<U>(self, mut f: impl FnMut(T) -> U) -> PerResource<U> {
        PerResource { cpu: f(self.cpu), io: f(self.io), memory: f(self.memory) }
    }

    /// The values in the order of [`Resource::ALL`].
    pub fn values(&self) -> [&T; 3] {
        [&self.cpu, &self.io, &self.memory]
    }
}

impl<T: Copy> PerResource<T> {
    /// The same value for each resource.
    pub fn all(value: T) -> Self {
        Self { cpu: value, io: value, memory: value }
    }
}

impl<T> Index<Resource> for PerResource<T> {
    type Output = T;

    fn index(&self, resource: Resource) -> &T {
        match resource {
            Resource::Cpu => &self.cpu,
            Resource::Io => &self.io,
            Resource::Memory => &self.memory,
        }
    }
}

impl<T> IndexMut<Resource> for PerResource<T> {
    fn index_mut(&mut self, resource: Resource) -> &mut T {
        match resource {
            Resource::Cpu => &mut self.cpu,
            Resource::Io => &mut self.io,
            Resource::Memory => &mut self.memory,
        }
    }
}

impl<T: AddAssign> AddAssign for PerResource<T> {
    fn add_assign(&mut self, other: Self) {
        self.cpu += other.cpu;
        self.io += other.io;
        self.memory += other.memory;
    }
}

impl<T: Add<Output = T>> Add for PerResource<T> {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { cpu: self.cpu + other.cpu, io: self.io + other.io, memory: self.memory + other.memory }
    }
}
