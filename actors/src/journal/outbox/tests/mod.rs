mod commits;
mod damage;
mod fence;
mod guarantees;
mod kills;
mod readers;
mod support;
mod threads;
