//! Generators of valid JSON that no printer writes: odd spacing, odd spellings,
//! repeated keys.

use proptest::{collection::vec, prelude::*};

/// A string in one of its many spellings, quotes included.
pub fn spelled_string() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[a-z0-9 ]{0,6}",
        1 => "[^\"\\\\\\x00-\\x1f]{0,3}",
        1 => prop::sample::select(vec![
            "\\\"", "\\\\", "\\/", "\\b", "\\f", "\\n", "\\r", "\\t", "\\u0000", "\\u001F", "\\u007f",
            "\\u0041", "\\u00e9", "\\u2028", "\\ud83d", "\\uDC4D", "\\ud83d\\udc4d", "\\uD83D\\uDC4D",
        ]).prop_map(str::to_owned),
    ];
    vec(piece, 0..4).prop_map(|pieces| format!("\"{}\"", pieces.concat()))
}

/// A number in one of its many spellings.
pub fn spelled_number() -> impl Strategy<Value = String> {
    prop_oneof![
        "-?(0|[1-9][0-9]{0,25})(\\.[0-9]{1,25})?([eE][-+]?[0-9]{1,3})?",
        any::<f64>()
            .prop_filter("JSON numbers are finite", |n| n.is_finite())
            .prop_map(|n| format!("{n:e}")),
        // As likely subnormal as huge, and often a digit short of the nearest double.
        (any::<u64>().prop_map(f64::from_bits), 0_usize..25)
            .prop_filter("JSON numbers are finite", |(n, _)| n.is_finite())
            .prop_map(|(n, digits)| format!("{n:.digits$e}")),
        any::<i64>().prop_map(|n| n.to_string()),
    ]
}

/// A key, quotes included: short keys that collide, array indices and near misses.
pub fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        "\"[a-d]\"",
        "\"(0|[1-9][0-9]{0,10}|0[0-9])\"",
        prop::sample::select(vec![
            "\"4294967294\"",
            "\"4294967295\"",
            "\"4294967296\"",
            "\"-1\"",
            "\"1.0\"",
            "\"\\u0031\"",
            "\"__proto__\"",
            "\"toString\"",
            "\"\"",
        ])
        .prop_map(str::to_owned),
        spelled_string(),
    ]
}

/// A JSON text with odd spacing, odd spellings and repeated keys.
pub fn spelled_json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        prop::sample::select(vec!["null", "true", "false", "-0", "1.0", "1e400"])
            .prop_map(str::to_owned),
        spelled_number(),
        spelled_string(),
    ];
    let space = || prop::sample::select(vec!["", " ", "\n\t", "\r\n  "]);
    leaf.prop_recursive(5, 60, 24, move |inner| {
        let member = (key(), inner.clone()).prop_map(|(key, value)| format!("{key}:{value}"));
        prop_oneof![
            (vec(inner, 0..8), space()).prop_map(|(items, space)| {
                format!(
                    "[{space}{}{space}]",
                    items.join(&format!("{space},{space}"))
                )
            }),
            (vec(member, 0..24), space()).prop_map(|(members, space)| {
                format!(
                    "{{{space}{}{space}}}",
                    members.join(&format!("{space},{space}"))
                )
            }),
        ]
    })
}
