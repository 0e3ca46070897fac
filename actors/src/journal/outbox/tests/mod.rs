mod commits;
mod support;
