//! `wahook`: the whole system in one process, and its data file.

mod crashes;
mod dead;
mod freeze;
mod full_disk;
mod hostile;
mod life;
mod measured;
mod memory;
mod migration;
mod poison;
mod reconcile;
mod start;
mod system;
mod watch;
