//! Macro that declares metric families; the doc comment is the help text.

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, Result, core::Collector,
};

/// Declaration of one family.
pub(super) struct Description {
    pub(super) name: &'static str,
    /// Lines of the doc comment.
    pub(super) help: &'static [&'static str],
    pub(super) labels: &'static [&'static str],
    /// Upper bounds, for histograms only.
    pub(super) buckets: Option<&'static [f64]>,
}

/// Declares a struct of families and its registration.
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
pub(super) use families;

/// Kind of metric family.
pub(super) trait Family: Collector + Clone + Sized + 'static {
    fn build(description: &Description) -> Result<Self>;
}

pub(super) fn register<F: Family>(registry: &Registry, description: &Description) -> Result<F> {
    let family = F::build(description)?;
    registry.register(Box::new(family.clone()))?;
    Ok(family)
}

impl Description {
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
    fn build(description: &Description) -> Result<Self> {
        Self::with_opts(description.opts())
    }
}

impl Family for IntCounterVec {
    fn build(description: &Description) -> Result<Self> {
        Self::new(description.opts(), description.labels)
    }
}

impl Family for IntGauge {
    fn build(description: &Description) -> Result<Self> {
        Self::with_opts(description.opts())
    }
}

impl Family for IntGaugeVec {
    fn build(description: &Description) -> Result<Self> {
        Self::new(description.opts(), description.labels)
    }
}

impl Family for Histogram {
    fn build(description: &Description) -> Result<Self> {
        Self::with_opts(description.histogram_opts())
    }
}

impl Family for HistogramVec {
    fn build(description: &Description) -> Result<Self> {
        Self::new(description.histogram_opts(), description.labels)
    }
}
