//! JSON printer with the output of `JSON.stringify`.

use super::node::Node;

/// Appends the value to `out`, without whitespace.
pub fn print(node: &Node<'_>, out: &mut Vec<u8>) {
    match node {
        Node::Null => out.extend_from_slice(b"null"),
        Node::Bool(true) => out.extend_from_slice(b"true"),
        Node::Bool(false) => out.extend_from_slice(b"false"),
        Node::Number(number) => print_number(*number, out),
        Node::Text(text) => print_text(text.form(), out),
        Node::Array(items) => {
            out.push(b'[');
            for (place, item) in items.iter().enumerate() {
                if place > 0 {
                    out.push(b',');
                }
                print(item, out);
            }
            out.push(b']');
        }
        Node::Object(object) => {
            out.push(b'{');
            for (place, (key, value)) in object.iter().enumerate() {
                if place > 0 {
                    out.push(b',');
                }
                print_text(key.form(), out);
                out.push(b':');
                print(value, out);
            }
            out.push(b'}');
        }
    }
}

fn print_text(form: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(form.as_bytes());
    out.push(b'"');
}

/// Prints infinities as `null`, as `JSON.stringify` does.
fn print_number(number: f64, out: &mut Vec<u8>) {
    if number.is_finite() {
        let mut buffer = ryu_js::Buffer::new();
        out.extend_from_slice(buffer.format_finite(number).as_bytes());
    } else {
        out.extend_from_slice(b"null");
    }
}
