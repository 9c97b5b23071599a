use super::*;

const FORM: &str = "application/x-www-form-urlencoded";

fn read<'a>(content_type: &'a str, body: &'a [u8]) -> Result<String, Refusal> {
    let content_type = Some(content_type).filter(|name| !name.is_empty());
    let request = Request {
        content_type,
        body,
        ..Request::default()
    };
    let received = Received::read(&request)?;
    received.parse()?;
    Ok(String::from_utf8(received.json().to_vec()).unwrap())
}

#[test]
fn json_is_read_whatever_its_media_type_says() {
    for content_type in [
        "",
        "application/json",
        "application/json; charset=utf-8",
        "application/cloudevents+json",
        "text/plain",
        "text/html",
        FORM,
        "multipart/form-data",
    ] {
        let json = "{\"event\":\"message\"}";
        assert_eq!(read(content_type, json.as_bytes()).unwrap(), json);
        let with_bom = [BOM, b" [1]"].concat();
        assert_eq!(read(content_type, &with_bom).unwrap(), " [1]");
    }
    assert_eq!(read("application/json", b"\"text\"").unwrap(), "\"text\"");
}

#[test]
fn other_bodies_are_refused_with_their_reason() {
    assert!(matches!(read("", b""), Err(Refusal::NotJson(_))));
    assert!(matches!(read("", b"{\"a\":"), Err(Refusal::NotJson(_))));
    let refused = read("application/xml", b"<event/>").unwrap_err();
    assert!(refused.to_string().contains("application/xml"), "{refused}");
    let refused = read(FORM, b"").unwrap_err();
    assert!(refused.to_string().contains("no fields"), "{refused}");
}

#[test]
fn fields_of_wuzapi_follow_the_members_of_its_event() {
    let body =
        b"instanceName=shop1&jsonData=%7B%22type%22%3A%22QR%22%2C%22event%22%3A%22code%22%7D\
                 &token=secret&userID=1b2c";
    let json = "{\"type\":\"QR\",\"event\":\"code\",\"instanceName\":\"shop1\",\
                \"token\":\"secret\",\"userID\":\"1b2c\"}";
    assert_eq!(read(FORM, body).unwrap(), json);
    assert_eq!(read(FORM, b"jsonData=%7B%7D").unwrap(), "{}");
    assert_eq!(
        read(FORM, b"jsonData=+%7B+%7D+&a=1").unwrap(),
        "{ \"a\":\"1\"}"
    );
    assert_eq!(
        read(FORM, b"jsonData=text").unwrap(),
        "{\"jsonData\":\"text\"}"
    );
    let damaged = read(FORM, b"jsonData=%7B%22a%22%7D&token=1");
    assert!(matches!(damaged, Err(Refusal::NotJson(_))), "{damaged:?}");
}

#[test]
fn fields_of_other_forms_become_members() {
    let body = b"event=sent&ids=%5B1%2C2%5D&note=%5Bnot+JSON&text=Ol%C3%A1+%22you%22&empty";
    let json = "{\"event\":\"sent\",\"ids\":[1,2],\"note\":\"[not JSON\",\
                \"text\":\"Olá \\\"you\\\"\",\"empty\":\"\"}";
    assert_eq!(read(FORM, body).unwrap(), json);
}

#[test]
fn file_of_a_multipart_body_is_described_beside_the_event() {
    let body = "--X\r\n\
        Content-Disposition: form-data; name=\"jsonData\"\r\n\r\n{\"type\":\"Message\"}\r\n\
        --X\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n/files/3EB0.jpg\r\n\
        --X\r\nContent-Disposition: form-data; name=\"file\"; filename=\"3EB0.jpg\"\r\n\
        Content-Type: image/jpeg\r\n\r\n12345\r\n--X--\r\n";
    let json = "{\"type\":\"Message\",\"file\":\"/files/3EB0.jpg\",\
        \"file\":{\"name\":\"3EB0.jpg\",\"type\":\"image/jpeg\",\"bytes\":5}}";
    let content_type = "multipart/form-data; boundary=X";
    assert_eq!(read(content_type, body.as_bytes()).unwrap(), json);
    let cut = body.len() - 30;
    for (content_type, body) in [
        ("multipart/form-data", body),
        ("multipart/form-data; boundary=Y", body),
        (content_type, "--X--\r\n"),
        (content_type, body.get(..cut).unwrap()),
    ] {
        let refused = read(content_type, body.as_bytes()).unwrap_err();
        assert!(refused.to_string().contains("multipart"), "{refused}");
    }
}

#[test]
fn large_bodies_are_read_in_linear_time() {
    let fields = "a=%7B&".repeat(100_000);
    let json = read(FORM, fields.as_bytes()).unwrap();
    assert!(json.len() > 800_000);
    let field = "--X\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n\r\n--\r\n-X\r\n";
    let body = [&field.repeat(20_000), "--X--\r\n"].concat();
    let json = read("multipart/form-data; boundary=X", body.as_bytes()).unwrap();
    assert!(json.len() > 100_000);
}
