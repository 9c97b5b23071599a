//! Fields and files of multipart/form-data.

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::{FutureExt, stream};
use multer::{Field, Multipart};

use super::{
    Refusal,
    fields::{Fields, File},
};

/// Reads all fields. The parser is asynchronous, but never waits: the body is complete.
pub(crate) fn read(media_type: &str, body: &[u8]) -> Result<Fields, Refusal> {
    let boundary = multer::parse_boundary(media_type).map_err(|error| damaged(&error))?;
    let body = Bytes::copy_from_slice(body);
    let chunks = stream::iter([Ok::<_, Infallible>(body)]);
    let form = all_fields(Multipart::new(chunks, boundary));
    let fields = form.now_or_never().unwrap_or_else(|| Ok(Fields::default()));
    let fields = fields.map_err(|error| damaged(&error))?;
    if fields.is_empty() {
        let reason = "the multipart body has no fields: send the event in `jsonData`";
        return Err(Refusal::NotAnEvent(reason.to_owned()));
    }
    Ok(fields)
}

async fn all_fields(mut form: Multipart<'_>) -> multer::Result<Fields> {
    let mut fields = Fields::default();
    while let Some(field) = form.next_field().await? {
        add(field, &mut fields).await?;
    }
    Ok(fields)
}

async fn add(field: Field<'_>, fields: &mut Fields) -> multer::Result<()> {
    let name = field.name().unwrap_or_default().to_owned();
    let Some(file_name) = field.file_name().map(str::to_owned) else {
        let value = field.bytes().await?;
        fields.add(name, String::from_utf8_lossy(&value).into_owned());
        return Ok(());
    };
    let media_type = field.content_type().map(ToString::to_string);
    let file = File {
        name: file_name,
        media_type: media_type.unwrap_or_default(),
        bytes: field.bytes().await?.len(),
    };
    fields.add_file(name, file);
    Ok(())
}

fn damaged(error: &multer::Error) -> Refusal {
    Refusal::NotAnEvent(format!("the multipart body is damaged: {error}"))
}
