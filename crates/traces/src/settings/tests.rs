use super::*;

const ON: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");

fn read(pairs: &[(&str, &str)]) -> Result<TraceSettings, String> {
    let mut settings = Settings::from_pairs(pairs.iter().copied());
    let read = TraceSettings::read(&mut settings);
    match settings.finish() {
        Ok(_) => Ok(read),
        Err(faults) => Err(faults.to_string()),
    }
}

fn url(pairs: &[(&str, &str)]) -> Option<String> {
    let export = read(pairs).unwrap().export;
    export.map(|export| export.url.to_string())
}

#[test]
fn an_address_turns_traces_on_and_the_one_for_traces_is_complete() {
    let base = |url| (ON.0, url);
    let whole = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://other/in");
    let of_base = "http://collector:4318/v1/traces";
    assert_eq!(url(&[]), None);
    assert_eq!(url(&[ON]).as_deref(), Some(of_base));
    assert_eq!(
        url(&[base("http://collector:4318/")]).as_deref(),
        Some(of_base)
    );
    let below = url(&[base("https://collector/otlp/")]);
    assert_eq!(below.as_deref(), Some("https://collector/otlp/v1/traces"));
    assert_eq!(url(&[ON, whole]).as_deref(), Some(whole.1));
    assert_eq!(url(&[whole]).as_deref(), Some(whole.1));
    assert_eq!(url(&[ON, ("OTEL_SDK_DISABLED", "true")]), None);
}

#[test]
fn the_service_has_the_name_that_is_set_for_it() {
    let of = |pairs: &[(&str, &str)]| {
        let pairs = [&[ON][..], pairs].concat();
        read(&pairs).unwrap().export.unwrap().service
    };
    let attributes = ("OTEL_RESOURCE_ATTRIBUTES", "a=b,service.name=x%20y");
    assert_eq!(of(&[]), None);
    assert_eq!(of(&[attributes]).as_deref(), Some("x y"));
    let named = of(&[attributes, ("OTEL_SERVICE_NAME", "z")]);
    assert_eq!(named.as_deref(), Some("z"));
}

#[test]
fn a_faulty_value_is_a_fault_only_while_traces_are_on_and_no_header_is_shown() {
    for (name, value) in [
        ("OTEL_TRACES_SAMPLER", "xray"),
        ("OTEL_RESOURCE_ATTRIBUTES", "a"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "Basic c2VjcmV0"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a b=c2VjcmV0"),
    ] {
        assert!(read(&[(name, value)]).is_ok(), "{name}");
        let faults = read(&[ON, (name, value)]).unwrap_err();
        assert!(faults.contains(name), "{faults}");
        assert!(!faults.contains("c2VjcmV0"), "{faults}");
    }
    let faults = read(&[(ON.0, "grpc://collector:4317")]).unwrap_err();
    assert!(faults.contains("http or https"), "{faults}");
}

#[test]
fn an_argument_is_checked_only_for_samplers_that_use_it() {
    for name in SAMPLERS {
        let sampler = ("OTEL_TRACES_SAMPLER", *name);
        for (ratio, is_valid) in [("0.5", true), ("2", false), ("endpoint=x", false)] {
            let read = read(&[ON, sampler, ("OTEL_TRACES_SAMPLER_ARG", ratio)]);
            let faults = read.err().unwrap_or_default();
            let is_faulty = faults.contains("OTEL_TRACES_SAMPLER_ARG");
            let is_used = name.ends_with("traceidratio");
            assert_eq!(is_faulty, is_used && !is_valid, "{name}, {ratio}: {faults}");
        }
    }
}
