//! Access to members of JSON values.

use std::borrow::Cow;

use wahook_domain::json::{Node, Object, Text};

/// Returns a member of an object.
pub(crate) fn get<'n, 'a>(node: &'n Node<'a>, name: &str) -> Option<&'n Node<'a>> {
    match node {
        Node::Object(members) => members.get(name),
        _ => None,
    }
}

/// Returns the value at a path of members.
pub(crate) fn at<'n, 'a>(node: &'n Node<'a>, path: &[&str]) -> Option<&'n Node<'a>> {
    path.iter().try_fold(node, |node, name| get(node, name))
}

/// Returns the text at a path of members; `None` if it is empty or another value.
pub(crate) fn text<'n>(node: &'n Node<'_>, path: &[&str]) -> Option<Cow<'n, str>> {
    match at(node, path)? {
        Node::Text(text) => Some(text.to_str().0).filter(|text| !text.is_empty()),
        _ => None,
    }
}

/// Returns the number at a path of members; a text of digits counts.
pub(crate) fn number(node: &Node<'_>, path: &[&str]) -> Option<f64> {
    match at(node, path)? {
        Node::Number(number) => Some(*number),
        Node::Text(text) => text.to_str().0.parse().ok().filter(|n: &f64| n.is_finite()),
        _ => None,
    }
}

/// Returns the truth value at a path of members; `false` if it is another value.
pub(crate) fn is_true(node: &Node<'_>, path: &[&str]) -> bool {
    matches!(at(node, path), Some(Node::Bool(true)))
}

pub(crate) fn object<'a, const N: usize>(members: [(&'static str, Node<'a>); N]) -> Node<'a> {
    let members = members.into_iter();
    let members: Object<'a> = members
        .map(|(key, value)| (Text::new(key), value))
        .collect();
    Node::Object(members)
}

pub(crate) fn owned(text: impl Into<String>) -> Node<'static> {
    Node::Text(Text::owned(&text.into()))
}

/// Returns an object unchanged, and wraps any other value as its member `value`.
pub(crate) fn as_object(node: Node<'_>) -> Node<'_> {
    match node {
        Node::Object(_) => node,
        other => object([("value", other)]),
    }
}

/// Returns the value at a path of members, and drops the others.
pub(crate) fn into_member<'a>(node: Node<'a>, path: &[&str]) -> Option<Node<'a>> {
    path.iter().try_fold(node, |node, name| match node {
        Node::Object(mut members) => members.remove(name),
        _ => None,
    })
}
