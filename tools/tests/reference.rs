//! `.env.example`, `docs/configuration.md` and `docker-compose.yml` have every declared setting,
//! and the programs read what they declare.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use wahook_console::DistributedSettings;
use wahook_consumer::ConsumerSettings;
use wahook_producer::ProducerSettings;
use wahook_receiver::ReceiverSettings;
use wahook_runtime::{Setting, Settings, program};
use wahook_tests::workspace;

/// Settings that `docker-compose.yml` sets itself, and the reason.
const FIXED: [(&str, &str); 4] = [
    (
        "CONSOLE_LISTEN",
        "the image listens on every interface; Compose publishes the port on loopback",
    ),
    (
        "PRODUCER_LISTEN",
        "the image listens on every interface; PRODUCER_PUBLISH is the host's address",
    ),
    (
        "PRODUCER_METRICS_LISTEN",
        "the image sets a port that Compose does not publish; Prometheus expects it",
    ),
    (
        "CONSUMER_LISTEN",
        "the image listens on every interface; Prometheus expects the port",
    ),
];
/// Settings in a file that the service `secrets` writes.
const IN_A_FILE: [&str; 5] = [
    "AMQP_URL",
    "CONSOLE_TOKEN",
    "MONGODB_URI",
    "PRODUCER_TOKEN",
    "WEBHOOK_SECRET",
];

const BROKER: (&str, &str) = ("AMQP_URL", "amqp://127.0.0.1");
const WEBHOOK: (&str, &str) = ("WEBHOOK_URL", "https://example.com/hook");
const LOG: (&str, &str) = ("MONGODB_URI", "mongodb://127.0.0.1");

#[test]
fn generated_files_are_up_to_date() {
    let checked = Command::new(env!("CARGO_BIN_EXE_wahook-reference"))
        .arg("--check")
        .output()
        .expect("the program wahook-reference");
    let stderr = String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success(), "{stderr}");
}

#[test]
fn programs_read_exactly_the_declared_settings() {
    let producer = read(&[BROKER], ProducerSettings::read);
    assert_eq!(producer, names(wahook_producer::PROGRAM_SETTINGS));
    let consumer = read(&[BROKER, WEBHOOK, LOG], ConsumerSettings::read);
    assert_eq!(consumer, names(wahook_consumer::PROGRAM_SETTINGS));
    let console = read(&[BROKER, LOG], DistributedSettings::read);
    assert_eq!(console, names(wahook_console::PROGRAM_SETTINGS));
    let receiver = read(&[], ReceiverSettings::read);
    assert_eq!(receiver, names(wahook_receiver::PROGRAM_SETTINGS));
    let wahook = read(&[], wahook::StandaloneSettings::read);
    assert_eq!(wahook, names(wahook::PROGRAM_SETTINGS));
}

#[test]
fn compose_passes_every_setting_of_each_program() {
    let compose = text("docker-compose.yml");
    let example = text(".env.example");
    for (service, settings) in [
        ("producer", wahook_producer::PROGRAM_SETTINGS),
        ("consumer", wahook_consumer::PROGRAM_SETTINGS),
        ("console", wahook_console::PROGRAM_SETTINGS),
    ] {
        let environment = environment(&compose, service);
        for name in names(settings) {
            let place = format!("{name} of the service {service} in docker-compose.yml");
            let value = environment.get(name.as_str()).copied().unwrap_or_default();
            if FIXED.iter().any(|(fixed, _)| *fixed == name) {
                assert!(!value.contains('$'), "{place} is not fixed: {value}");
            } else if IN_A_FILE.contains(&name.as_str()) {
                let file = environment.get(format!("{name}_FILE").as_str());
                assert!(file.is_some(), "{place} is not read from a file");
            } else {
                let is_passed = value.starts_with(&format!("${{{name}:-"));
                assert!(is_passed, "{place} is not passed on");
            }
        }
    }
    for name in variables(&compose) {
        let is_listed = |line: &str| {
            line.trim_start_matches('#')
                .starts_with(&format!("{name}="))
        };
        assert!(
            example.lines().any(is_listed),
            "{name} of docker-compose.yml is not in .env.example"
        );
    }
}

#[test]
fn compose_file_of_the_cluster_fits_the_other_one() {
    let compose = text("docker-compose.yml");
    let cluster = text("docker-compose.cluster.yml");
    let image = |text: &str| {
        let mut lines = text.lines().map(str::trim);
        let image = lines.find(|line| line.starts_with("image: rabbitmq:"));
        image.map(str::to_owned)
    };
    assert_eq!(image(&cluster), image(&compose), "the images of RabbitMQ");
    let nodes = environment(&cluster, "secrets")["RABBITMQ_NODES"];
    assert_eq!(nodes.split(' ').count(), 3);
    for node in nodes.split(' ') {
        let begin = format!("\n  {node}:\n");
        let hostname = format!("\n    hostname: {node}\n");
        let is_in_one = |part: &str| compose.contains(part) || cluster.contains(part);
        assert!(is_in_one(&begin), "{node} is no service");
        assert!(is_in_one(&hostname), "{node} has another host name");
    }
    assert!(variables(&cluster).is_empty());
    // RabbitMQ reads every file of a folder, and does not start if one is no configuration.
    let files = "RABBITMQ_CONFIG_FILES: /run/secrets/wahook/*.conf\n";
    assert!(compose.contains(files) && cluster.contains(files));
}

fn text(file: &str) -> String {
    fs::read_to_string(workspace().join(file)).expect("a readable file")
}

/// Returns the names of the settings that a program reads.
fn read<T>(
    given: &[(&str, &str)],
    read: impl FnOnce(&mut Settings) -> Option<T>,
) -> BTreeSet<String> {
    let mut settings = Settings::from_pairs(given.iter().copied());
    assert!(read(&mut settings).is_some());
    let effective = settings.finish().expect("valid settings");
    let mut names = names(&[program::SETTINGS]);
    names.extend(effective.into_iter().map(|setting| setting.name));
    names
}

fn names(tables: &[&[Setting]]) -> BTreeSet<String> {
    let settings = tables.iter().copied().flatten();
    settings.map(|setting| setting.name.to_owned()).collect()
}

/// Returns the variables of a service.
fn environment<'a>(compose: &'a str, service: &str) -> BTreeMap<&'a str, &'a str> {
    let is_begin = |line: &&str| *line != format!("  {service}:");
    let lines = compose.lines().skip_while(is_begin);
    lines
        .skip_while(|line| *line != "    environment:")
        .skip(1)
        .take_while(|line| line.starts_with("      "))
        .filter_map(|line| line.trim().split_once(": "))
        .collect()
}

/// Returns the variables that Compose replaces.
fn variables(compose: &str) -> BTreeSet<&str> {
    let places = compose.split("${").skip(1);
    places
        .filter_map(|place| place.split([':', '-', '}']).next())
        .collect()
}
