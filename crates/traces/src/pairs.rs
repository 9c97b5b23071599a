//! Lists of names and values, as OpenTelemetry's variables have them.

use percent_encoding::percent_decode_str;

/// Reads `name=value,name=value` with percent-encoded values. Returns `None` if a member has
/// no name or no value, or is not UTF-8.
pub(crate) fn parse(list: &str) -> Option<Vec<(String, String)>> {
    let members = list.split(',').map(str::trim);
    members
        .filter(|member| !member.is_empty())
        .map(|member| {
            let (name, value) = member.split_once('=')?;
            let (name, value) = (name.trim(), percent_decode_str(value.trim()));
            let value = value.decode_utf8().ok()?.into_owned();
            (!name.is_empty()).then(|| (name.to_owned(), value))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_decoded_and_a_member_without_name_or_value_is_refused() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let list = "a=1, b = x%20y%2C ,,c=";
        let parsed = vec![pair("a", "1"), pair("b", "x y,"), pair("c", "")];
        assert_eq!(parse(list), Some(parsed));
        assert_eq!(parse(""), Some(Vec::new()));
        for bad in ["a", "=1", "a=1,b", "a=%ff"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
