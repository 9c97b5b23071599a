//! Macro that declares metric families; the doc comment is the help text.
//!
//! Dashboards and alerts depend on the names, so a rename is a breaking change.
//!
//! Labels have few values, all known in advance: the configured name of an endpoint,
//! the class of an outcome, the number of an attempt. Never an address, an id or
//! another value that a client chooses.

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, Result, core::Collector, proto::MetricType,
};

/// Declaration of one family.
pub struct Description {
    pub name: &'static str,
    /// Lines of the doc comment.
    pub help: &'static [&'static str],
    pub labels: &'static [&'static str],
    /// Upper bounds, for histograms only.
    pub buckets: Option<&'static [f64]>,
}

/// Declares a struct of families and its registration. The calling crate needs the
/// crate `prometheus`.
#[macro_export]
macro_rules! families {
    (
        $(#[doc = $about:literal])+
        $group:ident {
            $(
                $(#[doc = $help:literal])+
                $field:ident: $kind:ty = $name:literal $([$($label:literal),+])? $(in $buckets:expr)?;
            )+
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone)]
        pub(super) struct $group {
            $( $(#[doc = $help])+ pub(super) $field: $kind, )+
        }

        impl $group {
            /// Registers the families.
            ///
            /// # Errors
            /// If the registry contains one of them already.
            pub(super) fn register(
                registry: &prometheus::Registry,
            ) -> prometheus::Result<Self> {
                use $crate::metrics::declare::{Description, register};
                Ok(Self {
                    $(
                        $field: register::<$kind>(registry, &Description {
                            name: $name,
                            help: &[$($help),+],
                            labels: &[$($($label),+)?],
                            buckets: None$(.or(Some($buckets)))?,
                        })?,
                    )+
                })
            }
        }
    };
}

/// Kind of metric family.
pub trait Family: Collector + Clone + Sized + 'static {
    const KIND: MetricType;

    /// Creates the family without registering it.
    ///
    /// # Errors
    /// If a name is invalid.
    fn build(description: &Description) -> Result<Self>;
}

/// Registers a family.
///
/// # Errors
/// If a name is invalid, or the registry contains the family already.
pub fn register<F: Family>(registry: &Registry, description: &Description) -> Result<F> {
    debug_assert!(
        description.follows_conventions(F::KIND),
        "{}",
        description.name
    );
    let family = F::build(description)?;
    registry.register(Box::new(family.clone()))?;
    Ok(family)
}

impl Description {
    /// Returns true if the name has our prefix and the suffix of its kind, and the
    /// family has a help text.
    fn follows_conventions(&self, kind: MetricType) -> bool {
        self.name.starts_with("wahook_")
            && self.name.ends_with("_total") == (kind == MetricType::COUNTER)
            && (self.name.ends_with("_seconds") || kind != MetricType::HISTOGRAM)
            && self.help().len() > 10
    }

    fn help(&self) -> String {
        let lines: Vec<&str> = self.help.iter().map(|line| line.trim()).collect();
        lines.join(" ")
    }

    fn opts(&self) -> Opts {
        Opts::new(self.name, self.help())
    }

    fn histogram_opts(&self) -> HistogramOpts {
        let opts = HistogramOpts::new(self.name, self.help());
        match self.buckets {
            Some(buckets) => opts.buckets(buckets.to_vec()),
            None => opts,
        }
    }
}

impl Family for IntCounter {
    const KIND: MetricType = MetricType::COUNTER;

    fn build(description: &Description) -> Result<Self> {
        Self::with_opts(description.opts())
    }
}

impl Family for IntCounterVec {
    const KIND: MetricType = MetricType::COUNTER;

    fn build(description: &Description) -> Result<Self> {
        Self::new(description.opts(), description.labels)
    }
}

impl Family for IntGauge {
    const KIND: MetricType = MetricType::GAUGE;

    fn build(description: &Description) -> Result<Self> {
        Self::with_opts(description.opts())
    }
}

impl Family for IntGaugeVec {
    const KIND: MetricType = MetricType::GAUGE;

    fn build(description: &Description) -> Result<Self> {
        Self::new(description.opts(), description.labels)
    }
}

impl Family for Histogram {
    const KIND: MetricType = MetricType::HISTOGRAM;

    fn build(description: &Description) -> Result<Self> {
        Self::with_opts(description.histogram_opts())
    }
}

impl Family for HistogramVec {
    const KIND: MetricType = MetricType::HISTOGRAM;

    fn build(description: &Description) -> Result<Self> {
        Self::new(description.histogram_opts(), description.labels)
    }
}
