//! Fields of a form as one JSON text.

use wahook_domain::json::{Text, parse};

/// Field that holds the event as JSON.
const EVENT: &str = "jsonData";

/// Fields of a form, in their order.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    texts: Vec<(String, String)>,
    files: Vec<(String, File)>,
}

/// Description of a file.
#[derive(Debug)]
pub(super) struct File {
    pub name: String,
    pub media_type: String,
    pub bytes: usize,
}

impl Fields {
    pub(super) fn add(&mut self, name: String, value: String) {
        self.texts.push((name, value));
    }

    pub(super) fn add_file(&mut self, name: String, file: File) {
        self.files.push((name, file));
    }

    /// Returns the names and values of the texts.
    pub(crate) fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        let texts = self.texts.iter();
        texts.map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Returns the names of the files.
    pub(crate) fn file_names(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|(name, _)| name.as_str())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.texts.is_empty() && self.files.is_empty()
    }

    /// Prints the fields as members of an object. Files come last, so that a file replaces a
    /// text of the same name, such as its path.
    pub(super) fn into_json(self) -> Vec<u8> {
        let mut members = Members::default();
        let is_event = |(name, value): &&(String, String)| name == EVENT && is_object(value);
        let event = self.texts.iter().position(|field| is_event(&field));
        if let Some((_, event)) = event.and_then(|place| self.texts.get(place)) {
            members.all_of(event);
        }
        for (place, (name, value)) in self.texts.iter().enumerate() {
            if Some(place) != event {
                members.add(name, &json_of(value));
            }
        }
        for (name, file) in &self.files {
            members.add(name, &file.to_json());
        }
        members.finish()
    }
}

impl File {
    fn to_json(&self) -> String {
        let (name, media_type) = (quoted(&self.name), quoted(&self.media_type));
        let bytes = self.bytes;
        format!("{{\"name\":{name},\"type\":{media_type},\"bytes\":{bytes}}}")
    }
}

/// Text of an object without its last brace.
#[derive(Default)]
struct Members {
    text: String,
}

impl Members {
    /// Takes over the members of an object. If its text is not valid, neither is the result:
    /// what follows is inserted before the last brace.
    fn all_of(&mut self, object: &str) {
        let object = object.trim();
        object
            .strip_suffix('}')
            .unwrap_or(object)
            .clone_into(&mut self.text);
    }

    fn add(&mut self, name: &str, json: &str) {
        match self.text.trim_end() {
            "" => self.text.push('{'),
            "{" => {}
            _ => self.text.push(','),
        }
        self.text.push_str(&quoted(name));
        self.text.push(':');
        self.text.push_str(json);
    }

    fn finish(mut self) -> Vec<u8> {
        if self.text.is_empty() {
            self.text.push('{');
        }
        self.text.push('}');
        self.text.into_bytes()
    }
}

fn is_object(value: &str) -> bool {
    let value = value.trim();
    value.starts_with('{') && value.ends_with('}')
}

/// Returns a JSON object or array unchanged, and any other value as a JSON string.
fn json_of(value: &str) -> String {
    let is_structured = value.trim_start().starts_with(['{', '[']);
    if is_structured && parse(value.as_bytes()).is_ok() {
        return value.to_owned();
    }
    quoted(value)
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", Text::new(text).form())
}
