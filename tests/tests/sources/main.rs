//! `POST /v1/in/{source}`: real requests of every kind of gateway, through `wahook` to a receiver.

mod axios;
mod cases;
mod deliveries;
mod duplicates;
mod encoding;
mod file;
mod meta;
mod pages;
mod redaction;
mod refusals;
mod signature;
mod stage;
mod tokens;
mod unverified;
