//! Page of the test receiver in a real browser, and its HTTP API.

mod answers;
mod copying;
mod detail;
mod hostile;
mod http;
mod keyboard;
mod limits;
mod list;
mod picture;
mod stage;
mod whole_way;
