//! Values that differ between a JSON text and its canonical form.

use super::text::Text;

/// Limit of listed changes: a text can have one for every few bytes.
const MAX_CHANGES: usize = 50;

/// Change of one value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Place, as a JSON pointer (RFC 6901).
    pub pointer: String,
    pub message: &'static str,
}

/// Place in a text, and the changes found so far.
#[derive(Default)]
pub(super) struct Path<'a> {
    steps: Vec<Step<'a>>,
    changes: Vec<Change>,
}

enum Step<'a> {
    Member(Text<'a>),
    Item(usize),
}

impl<'a> Path<'a> {
    pub(super) fn enter_member(&mut self, key: Text<'a>) {
        self.steps.push(Step::Member(key));
    }

    pub(super) fn enter_item(&mut self, index: usize) {
        self.steps.push(Step::Item(index));
    }

    pub(super) fn leave(&mut self) {
        self.steps.pop();
    }

    pub(super) fn report(&mut self, message: &'static str) {
        if self.changes.len() < MAX_CHANGES {
            self.changes.push(Change {
                pointer: self.pointer(),
                message,
            });
        }
    }

    pub(super) fn into_changes(self) -> Vec<Change> {
        self.changes
    }

    fn pointer(&self) -> String {
        let mut pointer = String::new();
        for step in &self.steps {
            pointer.push('/');
            match step {
                Step::Member(key) => {
                    let key = key.to_str().0.replace('~', "~0").replace('/', "~1");
                    pointer.push_str(&key);
                }
                Step::Item(index) => pointer.push_str(&index.to_string()),
            }
        }
        pointer
    }
}

#[cfg(test)]
mod tests {
    use super::super::{parse_and_compare, parse_and_list_changes};

    fn pointers(text: &str) -> Vec<String> {
        let (_, changes) = parse_and_list_changes(text.as_bytes()).unwrap();
        let (_, is_changed) = parse_and_compare(text.as_bytes()).unwrap();
        assert_eq!(is_changed, !changes.is_empty(), "{text}");
        changes.into_iter().map(|change| change.pointer).collect()
    }

    #[test]
    fn changed_values_are_named_by_their_pointers() {
        let text =
            r#"{"a":[1,9007199254740993],"b/~":{"c":1e999},"d":1,"d":2,"e":-9007199254740993}"#;
        assert_eq!(pointers(text), ["/a/1", "/b~1~0/c", "/d", "/e"]);
        assert_eq!(pointers("18446744073709551616"), [""]);
        assert_eq!(
            pointers("12345678901234567890123456789012345678901234567890"),
            [""]
        );
    }

    #[test]
    fn equal_values_are_no_changes() {
        for same in [
            "9007199254740992",
            "9007199254740994",
            "-0",
            "0.1000000000000000055511151231257827",
            "1e22",
            r#"{"a":{"d":1},"b":{"d":1}}"#,
            r#"["\u0061"]"#,
        ] {
            assert_eq!(pointers(same), [""; 0], "{same}");
        }
    }

    #[test]
    fn list_of_changes_is_bounded() {
        let text = format!("[{}]", vec!["1e999"; 1_000].join(","));
        assert_eq!(pointers(&text).len(), super::MAX_CHANGES);
    }
}
