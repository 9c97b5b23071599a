//! Page of the console in a real browser, on the log of a single process.

mod actions;
mod detail;
mod hostile;
mod keyboard;
mod list;
mod login;
mod picture;
mod stage;
