//! Addresses of servers that name several hosts.

/// Address with a list of hosts, in its parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostList<'a> {
    /// Scheme and login.
    pub before: &'a str,
    /// Hosts with their ports, separated by commas.
    pub hosts: &'a str,
    /// Path, query and fragment.
    pub after: &'a str,
}

impl<'a> HostList<'a> {
    /// Splits an address. Returns `None` unless it names several hosts.
    #[must_use]
    pub fn split(address: &'a str) -> Option<Self> {
        let (scheme, rest) = address.split_once("://")?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, after) = rest.split_at_checked(end)?;
        let hosts = authority.rsplit('@').next()?;
        let login = authority.strip_suffix(hosts)?;
        let before = address.get(..scheme.len() + "://".len() + login.len())?;
        hosts.contains(',').then_some(Self {
            before,
            hosts,
            after,
        })
    }

    /// Returns the address of one of the hosts.
    #[must_use]
    pub fn address_of(&self, host: &str) -> String {
        format!("{}{host}{}", self.before, self.after)
    }
}

/// Splits a list of broker addresses at each comma that is followed by another one. All
/// other commas belong to an address.
#[must_use]
pub fn broker_addresses(text: &str) -> Vec<&str> {
    let mut commas: Vec<_> = [",amqp://", ",amqps://"]
        .iter()
        .flat_map(|start| text.match_indices(start).map(|(at, _)| at))
        .collect();
    commas.sort_unstable();
    let mut addresses = Vec::new();
    let mut rest = text;
    for comma in commas.into_iter().rev() {
        if let Some((before, address)) = rest.split_at_checked(comma) {
            addresses.push(address.trim_start_matches(','));
            rest = before;
        }
    }
    addresses.push(rest);
    addresses.reverse();
    addresses
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_with_several_hosts_is_split() {
        let list = HostList::split("amqp://app:p,w@a:5672,b/%2f?heartbeat=5").unwrap();
        assert_eq!(list.before, "amqp://app:p,w@");
        assert_eq!(list.hosts, "a:5672,b");
        assert_eq!(list.address_of("b"), "amqp://app:p,w@b/%2f?heartbeat=5");
        for one in ["amqp://app:p,w@a/x,y", "amqp://a?x=1,2", "a,b", ""] {
            assert_eq!(HostList::split(one), None, "{one}");
        }
    }

    #[test]
    fn list_of_addresses_is_split_before_each_scheme() {
        let text = "amqp://u:p@a/%2f,amqps://b,c/x,y,amqp://d";
        let addresses = ["amqp://u:p@a/%2f", "amqps://b,c/x,y", "amqp://d"];
        assert_eq!(broker_addresses(text), addresses);
        assert_eq!(broker_addresses("amqp://a,b"), ["amqp://a,b"]);
        assert_eq!(broker_addresses(""), [""]);
    }
}
