mod commits;
mod damage;
mod kills;
mod support;
mod threads;
