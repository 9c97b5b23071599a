//! Fuzz test: endpoints files.

use proptest::prelude::*;
use wahook_domain::Reach;
use wahook_hostile::{cases, damaged_text};

use super::*;

const FILES: &[&str] = &[
    include_str!("../../../../../examples/endpoints.toml"),
    include_str!("../../../../../deploy/endpoints.example.toml"),
    "[[endpoint]]\nname = \"a\"\nurl = \"https://u:p@h/?k=v\"\nheaders = { \"X-A\" = \"b\" }\n",
    "[[endpoint]]\nname='a'\nurl='http://[::1]:9/'\ncircuit=false\nenabled=false\n[[endpoint]]\nname='a'\n",
    "endpoint = [{ name = 1, url = 2 }]\n",
    "[endpoint]\n[[endpoint.endpoint]]\n",
    "[[endpoint]]\nrate_limit = 1e400\nretry_delay = 0x7fffffffffffffff\ntimeout = -9223372036854775808\n",
    "a.b.c.d.e.f = [[[[[[[[1]]]]]]]]\n",
];

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn hostile_file_is_read_or_refused_with_the_lines(text in damaged_text(FILES)) {
        let allowed = Allowed { http: true, reach: Reach::Private, connection_age: Duration::from_secs(60) };
        let file = EndpointsFile { path: "/missing/endpoints.toml".into(), allowed, proxies: Proxies::default(), circuit: true };
        match file.parse(&text) {
            Ok(endpoints) => {
                prop_assert!((1..=MAX_ENDPOINTS).contains(&endpoints.len()));
                let names: BTreeSet<_> = endpoints.iter().map(|endpoint| &endpoint.name).collect();
                prop_assert_eq!(names.len(), endpoints.len());
            }
            Err(faults) => {
                let lines = text.matches('\n').count() + 1;
                prop_assert!(!faults.is_empty());
                prop_assert!(faults.iter().all(|fault| (1..=lines).contains(&fault.line)));
            }
        }
    }
}
