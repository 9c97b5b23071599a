//! Operator of a command, for records of actions.

use std::env;

/// Longest name of a user in a record.
const MAX_USER: usize = 64;

/// Returns the operator of this process.
pub(crate) fn of_command() -> String {
    operator(env::var("USER").ok())
}

fn operator(user: Option<String>) -> String {
    let is_name = |user: &String| {
        (1..=MAX_USER).contains(&user.len()) && user.chars().all(|c| c.is_ascii_graphic())
    };
    match user.filter(is_name) {
        Some(user) => format!("{user}, command line"),
        None => "command line".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn record_names_the_user_if_it_is_a_name() {
        assert_eq!(operator(Some("ann".to_owned())), "ann, command line");
        for user in [None, Some(String::new()), Some("a\nb".to_owned())] {
            assert_eq!(operator(user), "command line");
        }
    }
}
