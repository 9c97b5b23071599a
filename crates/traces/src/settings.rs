//! Settings of traces, with the names that OpenTelemetry gives them.

use opentelemetry_sdk::trace::Sampler;
use reqwest::header::{HeaderName, HeaderValue};
use std::{collections::HashMap, str::FromStr};
use url::Url;
use wahook_runtime::{
    Setting, Settings,
    settings::{DefaultValue, Kind},
};

use crate::{
    pairs,
    sampling::{self, SAMPLERS},
};

/// Settings of traces. All but the addresses and the switch are ignored while traces are off.
pub const SETTINGS: &[Setting] = &[
    OTEL_EXPORTER_OTLP_ENDPOINT,
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT,
    OTEL_EXPORTER_OTLP_HEADERS,
    OTEL_SERVICE_NAME,
    OTEL_RESOURCE_ATTRIBUTES,
    OTEL_TRACES_SAMPLER,
    OTEL_TRACES_SAMPLER_ARG,
    OTEL_SDK_DISABLED,
];

/// Form of the addresses of collectors.
const COLLECTOR: Kind = Kind::Url {
    expected: "the http or https address of a collector",
    schemes: "`http://` or `https://`",
};

const OTEL_EXPORTER_OTLP_ENDPOINT: Setting = Setting {
    name: "OTEL_EXPORTER_OTLP_ENDPOINT",
    kind: COLLECTOR,
    default: DefaultValue::None,
    example: "http://collector:4318",
    help: "collector that receives traces, as protobuf over HTTP at /v1/traces; none without it",
    meaning: "turns [traces](tracing.md) on: address of the collector that receives them, as \
        protobuf over HTTP at its path `/v1/traces`",
};

const OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: Setting = Setting {
    name: "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    kind: COLLECTOR,
    default: DefaultValue::None,
    example: "http://collector:4318/v1/traces",
    help: "the whole URL for traces, in place of OTEL_EXPORTER_OTLP_ENDPOINT",
    meaning: "the whole URL for traces, in place of `OTEL_EXPORTER_OTLP_ENDPOINT`; turns them on too",
};

const OTEL_EXPORTER_OTLP_HEADERS: Setting = Setting {
    name: "OTEL_EXPORTER_OTLP_HEADERS",
    kind: Kind::Secret("a list of NAME=VALUE, separated by commas"),
    default: DefaultValue::None,
    example: "api-key=secret",
    help: "headers for the collector, such as its token",
    meaning: "headers for the collector, such as its token; values are percent-encoded",
};

const OTEL_SERVICE_NAME: Setting = Setting {
    name: "OTEL_SERVICE_NAME",
    kind: Kind::Text("a name"),
    default: DefaultValue::None,
    example: "wahook-consumer",
    help: "service.name of traces; by default the name of the program",
    meaning: "`service.name` of traces; by default that of `OTEL_RESOURCE_ATTRIBUTES`, or else the \
        name of the program",
};

const OTEL_RESOURCE_ATTRIBUTES: Setting = Setting {
    name: "OTEL_RESOURCE_ATTRIBUTES",
    kind: Kind::Text("a list of NAME=VALUE, separated by commas"),
    default: DefaultValue::None,
    example: "deployment.environment.name=production",
    help: "further attributes of the program in traces",
    meaning: "further attributes of the program in traces; values are percent-encoded",
};

const OTEL_TRACES_SAMPLER: Setting = Setting {
    name: "OTEL_TRACES_SAMPLER",
    kind: Kind::Choice(SAMPLERS),
    default: DefaultValue::Text("parentbased_always_on"),
    example: "parentbased_traceidratio",
    help: "choice of the traces to export",
    meaning: "choice of the traces to export; `parentbased_` follows the sampled flag of a \
        sender's `traceparent`",
};

const OTEL_TRACES_SAMPLER_ARG: Setting = Setting {
    name: "OTEL_TRACES_SAMPLER_ARG",
    kind: Kind::Text("a number from 0 to 1"),
    default: DefaultValue::Text("1"),
    example: "0.1",
    help: "part of the traces to export, if the sampler is one by ratio",
    meaning: "part of the traces to export, if the sampler is `traceidratio` or \
        `parentbased_traceidratio`",
};

const OTEL_SDK_DISABLED: Setting = Setting {
    name: "OTEL_SDK_DISABLED",
    kind: Kind::Flag,
    default: DefaultValue::Flag(false),
    example: "true",
    help: "no traces, whatever the other settings are",
    meaning: "`true`: no traces, whatever the other settings are",
};

#[derive(Debug, Default)]
pub struct TraceSettings {
    /// `None` if traces are off.
    pub(crate) export: Option<ExportSettings>,
}

/// Settings of traces that are exported.
#[derive(Debug)]
pub(crate) struct ExportSettings {
    /// URL for traces.
    pub(crate) url: Url,
    pub(crate) headers: HashMap<String, String>,
    /// Name of the service, unless it is that of the program.
    pub(crate) service: Option<String>,
    pub(crate) attributes: Vec<(String, String)>,
    pub(crate) sampler: Sampler,
}

impl TraceSettings {
    /// Reads all settings; faults are recorded in `settings`.
    pub fn read(settings: &mut Settings) -> Self {
        let url = read_url(settings);
        let headers = settings.secret(&OTEL_EXPORTER_OTLP_HEADERS);
        let service: Option<String> = settings.value(&OTEL_SERVICE_NAME);
        let attributes: Option<String> = settings.value(&OTEL_RESOURCE_ATTRIBUTES);
        let sampler: Option<String> = settings.value(&OTEL_TRACES_SAMPLER);
        let ratio: Option<String> = settings.value(&OTEL_TRACES_SAMPLER_ARG);
        let is_disabled = settings.flag(&OTEL_SDK_DISABLED);
        // Clusters set such variables for all programs: those of traces that are off must not
        // stop this one.
        let Some(url) = url.filter(|_| !is_disabled) else {
            return Self { export: None };
        };
        let headers = read_headers(settings, headers.as_deref().unwrap_or_default());
        let attributes = attributes.as_deref().unwrap_or_default();
        let attributes = pairs::parse(attributes).unwrap_or_else(|| {
            fault(settings, &OTEL_RESOURCE_ATTRIBUTES);
            Vec::new()
        });
        let named = attributes.iter().find(|(name, _)| name == "service.name");
        Self {
            export: Some(ExportSettings {
                url,
                headers,
                service: service.or_else(|| named.map(|(_, value)| value.clone())),
                sampler: read_sampler(settings, sampler.as_deref(), ratio.as_deref()),
                attributes,
            }),
        }
    }
}

/// Returns the URL for traces.
fn read_url(settings: &mut Settings) -> Option<Url> {
    let base: Option<Url> = settings.value(&OTEL_EXPORTER_OTLP_ENDPOINT);
    let whole: Option<Url> = settings.value(&OTEL_EXPORTER_OTLP_TRACES_ENDPOINT);
    for (url, setting) in [
        (&base, &OTEL_EXPORTER_OTLP_ENDPOINT),
        (&whole, &OTEL_EXPORTER_OTLP_TRACES_ENDPOINT),
    ] {
        if url
            .as_ref()
            .is_some_and(|url| !matches!(url.scheme(), "http" | "https"))
        {
            fault(settings, setting);
        }
    }
    whole.or_else(|| {
        let mut url = base?;
        url.path_segments_mut()
            .ok()?
            .pop_if_empty()
            .extend(["v1", "traces"]);
        Some(url)
    })
}

fn read_headers(settings: &mut Settings, list: &str) -> HashMap<String, String> {
    let is_header = |(name, value): &(String, String)| {
        HeaderName::from_str(name).is_ok() && HeaderValue::from_str(value).is_ok()
    };
    match pairs::parse(list) {
        Some(headers) if headers.iter().all(is_header) => headers.into_iter().collect(),
        _ => {
            fault(settings, &OTEL_EXPORTER_OTLP_HEADERS);
            HashMap::new()
        }
    }
}

fn read_sampler(settings: &mut Settings, name: Option<&str>, ratio: Option<&str>) -> Sampler {
    let name = name.unwrap_or_default();
    let ratio = ratio.and_then(sampling::ratio).unwrap_or_else(|| {
        if sampling::is_by_ratio(name) {
            fault(settings, &OTEL_TRACES_SAMPLER_ARG);
        }
        1.0
    });
    sampling::sampler(name, ratio).unwrap_or_else(|| {
        fault(settings, &OTEL_TRACES_SAMPLER);
        Sampler::AlwaysOn
    })
}

fn fault(settings: &mut Settings, setting: &Setting) {
    settings.fault(setting, format!("must be {}", setting.kind.expected()));
}

#[cfg(test)]
mod tests;
