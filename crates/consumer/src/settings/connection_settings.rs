//! Declarations of the settings of connections to webhooks.

use wahook_runtime::{
    Setting,
    settings::{DefaultValue, Kind},
};

pub(super) const WEBHOOK_ALLOW_HTTP: Setting = Setting {
    name: "WEBHOOK_ALLOW_HTTP",
    kind: Kind::Flag,
    default: DefaultValue::Flag(false),
    example: "true",
    help: "allow plain http:// beyond loopback",
    meaning: "allows plain `http://` beyond loopback",
};

pub(super) const WEBHOOK_BLOCK_PRIVATE: Setting = Setting {
    name: "WEBHOOK_BLOCK_PRIVATE",
    kind: Kind::Flag,
    default: DefaultValue::Flag(false),
    example: "true",
    help: "call public addresses only",
    meaning: "calls public addresses only: rejects private, loopback, link-local, shared, \
        multicast and reserved addresses, whether the URL contains the address or a name that \
        resolves to it. For URLs that others choose",
};

pub(super) const WEBHOOK_ALLOW_LINK_LOCAL: Setting = Setting {
    name: "WEBHOOK_ALLOW_LINK_LOCAL",
    kind: Kind::Flag,
    default: DefaultValue::Flag(false),
    example: "true",
    help: "allow link-local addresses and metadata services of clouds",
    meaning: "allows link-local addresses and the metadata services of clouds, such as \
        `169.254.169.254`, which are rejected otherwise. An error together with \
        `WEBHOOK_BLOCK_PRIVATE`",
};

pub(super) const WEBHOOK_FOLLOW_REDIRECTS: Setting = Setting {
    name: "WEBHOOK_FOLLOW_REDIRECTS",
    kind: Kind::Flag,
    default: DefaultValue::Flag(false),
    example: "true",
    help: "follow redirects within the host",
    meaning: "follows redirects 307 and 308 to the same host and port, or from `http://` to \
        `https://` of the same host, see [Redirects](endpoints.md#redirects)",
};

pub(super) const WEBHOOK_CONNECTION_AGE: Setting = Setting {
    name: "WEBHOOK_CONNECTION_AGE",
    kind: Kind::Integer {
        min: 1,
        max: 86_400,
        unit: "seconds",
    },
    default: DefaultValue::Number(60),
    example: "60",
    help: "age at which connections are replaced",
    meaning: "age at which a connection gets no more requests, so that the host is looked up again",
};

pub(super) const HTTPS_PROXY: Setting = Setting {
    name: "HTTPS_PROXY",
    kind: Kind::Url {
        expected: "the URL of a proxy",
        schemes: "`http://`, `https://`, `socks5://`, `socks5h://`",
    },
    default: DefaultValue::None,
    example: "http://proxy.example:3128",
    help: "proxy for https:// webhooks",
    meaning: "proxy for `https://` webhooks, see [Proxies](endpoints.md#proxies)",
};

pub(super) const HTTP_PROXY: Setting = Setting {
    name: "HTTP_PROXY",
    kind: Kind::Url {
        expected: "the URL of a proxy",
        schemes: "`http://`, `https://`, `socks5://`, `socks5h://`",
    },
    default: DefaultValue::None,
    example: "http://proxy.example:3128",
    help: "proxy for http:// webhooks",
    meaning: "proxy for `http://` webhooks",
};

pub(super) const ALL_PROXY: Setting = Setting {
    name: "ALL_PROXY",
    kind: Kind::Url {
        expected: "the URL of a proxy",
        schemes: "`http://`, `https://`, `socks5://`, `socks5h://`",
    },
    default: DefaultValue::None,
    example: "http://proxy.example:3128",
    help: "proxy for all webhooks",
    meaning: "proxy for webhooks whose scheme has no proxy of its own",
};

pub(super) const NO_PROXY: Setting = Setting {
    name: "NO_PROXY",
    kind: Kind::Text("a list of hosts"),
    default: DefaultValue::None,
    example: "internal.example,10.0.0.0/8",
    help: "hosts that are reached without a proxy",
    meaning: "hosts, domains and networks that are reached without a proxy, separated by commas; `*` for all",
};
