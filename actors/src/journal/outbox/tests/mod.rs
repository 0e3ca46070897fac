mod commits;
mod damage;
mod fence;
mod kills;
mod support;
mod threads;
