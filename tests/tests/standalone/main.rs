//! `wahook`: the whole system in one process, and its data file.

mod console;
mod crashes;
mod damage;
mod dead;
mod files;
mod freeze;
mod front;
mod full_disk;
mod hostile;
mod hostile_producer;
mod import_files;
mod large_events;
mod life;
mod measured;
mod migration;
mod operators;
mod origin_filters;
mod poison;
mod reconcile;
mod refusals;
mod removed_endpoints;
mod secrets;
mod space;
mod start;
mod system;
mod watch;
