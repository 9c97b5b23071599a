//! Choice of the traces to export.

use opentelemetry_sdk::trace::Sampler;

/// Names of the samplers of the specification that need nothing else.
pub(crate) const SAMPLERS: &[&str] = &[
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
];

/// Returns the sampler of a name; `None` for another name.
pub(crate) fn sampler(name: &str, ratio: f64) -> Option<Sampler> {
    let (of_root, is_by_parent) = match name.strip_prefix("parentbased_") {
        Some(of_root) => (of_root, true),
        None => (name, false),
    };
    let of_root = match of_root {
        "always_on" => Sampler::AlwaysOn,
        "always_off" => Sampler::AlwaysOff,
        "traceidratio" => Sampler::TraceIdRatioBased(ratio),
        _ => return None,
    };
    Some(if is_by_parent {
        Sampler::ParentBased(Box::new(of_root))
    } else {
        of_root
    })
}

/// Returns true if the sampler of this name uses the ratio.
pub(crate) fn is_by_ratio(name: &str) -> bool {
    matches!(name, "traceidratio" | "parentbased_traceidratio")
}

/// Reads the part of traces that a sampler by ratio selects, 0 to 1.
pub(crate) fn ratio(text: &str) -> Option<f64> {
    let ratio: f64 = text.parse().ok()?;
    (0.0..=1.0).contains(&ratio).then_some(ratio)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_declared_sampler_exists_and_ratios_are_from_0_to_1() {
        for name in SAMPLERS {
            let [half, all] = [0.5, 1.0].map(|ratio| sampler(name, ratio).unwrap());
            let differs = format!("{half:?}") != format!("{all:?}");
            assert_eq!(is_by_ratio(name), differs, "{name}");
        }
        for name in ["", "xray", "parentbased_", "parentbased_xray"] {
            assert!(sampler(name, 0.5).is_none(), "{name}");
        }
        assert_eq!(
            ["0", "0.25", "1"].map(ratio),
            [Some(0.0), Some(0.25), Some(1.0)]
        );
        assert_eq!(["-0.1", "1.1", "NaN", "half"].map(ratio), [None; 4]);
    }
}
