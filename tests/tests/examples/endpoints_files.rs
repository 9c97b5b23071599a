//! The endpoints files of the repository are valid for `WEBHOOK_ENDPOINTS`.

use wahook_consumer::{DeliverySettings, EndpointSettings};
use wahook_runtime::Settings;
use wahook_tests::workspace;

#[test]
fn example_endpoints_file_is_valid() {
    let endpoints = endpoints("examples/endpoints.toml");
    assert_eq!(names(&endpoints), ["chat-bot", "crm", "archive"]);
    assert!(endpoints.iter().all(|endpoint| endpoint.secrets.is_some()));
}

#[test]
fn endpoints_file_with_every_field_is_valid() {
    let endpoints = endpoints("deploy/endpoints.example.toml");
    assert_eq!(names(&endpoints), ["crm", "archive"]);
}

/// Reads a file as the consumer does.
fn endpoints(file: &str) -> Vec<EndpointSettings> {
    let path = workspace().join(file).display().to_string();
    let mut settings = Settings::from_pairs([("WEBHOOK_ENDPOINTS", path)]);
    let read = DeliverySettings::read(&mut settings);
    if let Err(faults) = settings.finish() {
        panic!("{faults}");
    }
    read.unwrap().endpoints.list
}

fn names(endpoints: &[EndpointSettings]) -> Vec<&str> {
    endpoints.iter().map(|one| one.name.as_str()).collect()
}
