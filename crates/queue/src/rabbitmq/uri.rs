//! Address of the broker: one host, or several of a cluster.

use lapin::uri::AMQPUri;
use std::{fmt, str::FromStr, sync::Arc};
use wahook_domain::host_list::{HostList, broker_addresses};

use super::turns::Turns;

/// Seconds between heartbeats if the URI sets none: a frozen broker is noticed
/// after two of them.
const HEARTBEAT_SECONDS: u16 = 5;
/// Longest frame, in bytes, if the URI sets none. lapin keeps 64 times as much
/// for each connection: 8 MiB with the 128 KiB that RabbitMQ would agree to.
const MAX_FRAME: u32 = 16 << 10;

/// Address of the broker, valid by construction. `Display` hides passwords.
#[derive(Clone)]
pub struct BrokerUri {
    /// One address for each host, in the order of the text; never empty.
    pub(super) hosts: Vec<AMQPUri>,
    /// Servers that were tried last; clones share it.
    pub(super) turns: Arc<Turns>,
}

/// Error for an invalid broker address. It quotes no part of the address.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct InvalidBrokerUri(String);

impl FromStr for BrokerUri {
    type Err = InvalidBrokerUri;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.contains(", ") || text.contains(" ,") {
            return Err(invalid("remove the spaces next to commas"));
        }
        let addresses = broker_addresses(text).into_iter();
        let hosts = addresses
            .map(parse_address)
            .collect::<Result<Vec<_>, _>>()?;
        let hosts: Vec<_> = hosts.into_iter().flatten().collect();
        let mut vhosts = hosts.iter().map(|host| &host.vhost);
        let first = vhosts.next();
        if vhosts.any(|vhost| Some(vhost) != first) {
            return Err(invalid(
                "the addresses have different virtual hosts, but all must lead to the same queues",
            ));
        }
        Ok(Self {
            hosts,
            turns: Arc::default(),
        })
    }
}

/// Parses an address, which may have several hosts.
fn parse_address(address: &str) -> Result<Vec<AMQPUri>, InvalidBrokerUri> {
    let Some(list) = HostList::split(address) else {
        return Ok(vec![parse_host(address)?]);
    };
    let hosts = list.hosts.split(',').zip(1..);
    let parsed = hosts.map(|(host, number)| {
        let uri = match host {
            "" => Err(invalid("it is empty")),
            _ => parse_host(&list.address_of(host)),
        };
        uri.map_err(|InvalidBrokerUri(fault)| invalid(&format!("host {number}: {fault}")))
    });
    parsed.collect()
}

/// Parses an address with one host.
fn parse_host(address: &str) -> Result<AMQPUri, InvalidBrokerUri> {
    let rest = ["amqp://", "amqps://"].iter().find_map(|scheme| {
        let (start, rest) = address.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some(rest)
    });
    let Some(rest) = rest else {
        return Err(invalid("an address starts with amqp:// or amqps://"));
    };
    // Some errors quote the address after a colon.
    let mut uri = AMQPUri::from_str(address)
        .map_err(|fault| invalid(fault.split(':').next().unwrap_or_default()))?;
    if uri.vhost.contains("://") {
        return Err(invalid("each address starts with amqp:// or amqps://"));
    }
    // The parser takes an IPv6 address for no host at all.
    if let Some(address) = ipv6_host(rest) {
        address.clone_into(&mut uri.authority.host);
    }
    uri.query.heartbeat.get_or_insert(HEARTBEAT_SECONDS);
    uri.query.frame_max.get_or_insert(MAX_FRAME);
    Ok(uri)
}

/// Returns the IPv6 address between the brackets of a host.
fn ipv6_host(after_scheme: &str) -> Option<&str> {
    let authority = after_scheme.split(['/', '?', '#']).next()?;
    let host = authority.rsplit('@').next()?;
    Some(host.strip_prefix('[')?.split_once(']')?.0)
}

fn invalid(fault: &str) -> InvalidBrokerUri {
    InvalidBrokerUri(fault.to_owned())
}

/// Returns host and port, as in an address.
pub(super) fn host_and_port(uri: &AMQPUri) -> String {
    let (host, port) = (&uri.authority.host, uri.authority.port);
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

/// Returns the parts of an address that are not secret.
fn shown(uri: &AMQPUri, hosts: &[String]) -> String {
    let (scheme, user) = (&uri.scheme, &uri.authority.userinfo.username);
    format!("{scheme}://{user}@{}/{}", hosts.join(","), uri.vhost)
}

impl fmt::Display for BrokerUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut texts: Vec<String> = Vec::new();
        // Hosts of one address are shown together.
        for same in self.hosts.chunk_by(|one, other| {
            one.scheme == other.scheme
                && one.authority.userinfo.username == other.authority.userinfo.username
        }) {
            let hosts: Vec<_> = same.iter().map(host_and_port).collect();
            texts.extend(same.first().map(|uri| shown(uri, &hosts)));
        }
        f.write_str(&texts.join(","))
    }
}

impl fmt::Debug for BrokerUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BrokerUri({self})")
    }
}

#[cfg(test)]
mod tests;
