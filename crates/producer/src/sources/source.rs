//! Sources: gateways whose own webhooks are accepted.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use wahook_domain::SourceName;
use wahook_runtime::tokens::Tokens;
use wahook_sources::{Kind, Pointer};

/// Form in which events of a source are delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Bytes of the gateway, unchanged.
    AsReceived,
    /// Documented events.
    Documented,
}

/// Gateway that posts in its own form.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) name: SourceName,
    pub(crate) kind: Kind,
    /// Key of the gateway's own signature, which is required if the key is set.
    pub(crate) secret: Option<Key>,
    /// Token of this source; the tokens of the producer if it is empty.
    pub(crate) tokens: Tokens,
    pub(crate) form: Form,
    /// Values that are neither delivered nor logged.
    pub(crate) redacted: Vec<Pointer>,
    /// Largest body, in bytes, if it is less than that of the producer.
    pub(crate) max_body_bytes: Option<usize>,
}

/// Key of a gateway's signature.
pub(crate) struct Key(String);

impl Key {
    pub(crate) fn new(key: String) -> Self {
        Self(key)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

impl Source {
    /// Returns the source of a kind without settings: its name is that of the kind.
    fn of_kind(kind: Kind) -> Option<Self> {
        Some(Self {
            name: SourceName::parse(kind.as_str()).ok()?,
            kind,
            secret: None,
            tokens: Tokens::default(),
            form: Form::AsReceived,
            redacted: secrets_of(kind),
            max_body_bytes: None,
        })
    }
}

/// Returns pointers to the members with the keys of gateways of this kind.
pub(crate) fn secrets_of(kind: Kind) -> Vec<Pointer> {
    let pointers = kind.secret_members().iter();
    pointers.filter_map(|text| text.parse().ok()).collect()
}

/// All sources, which a reload replaces.
#[derive(Debug)]
pub(crate) struct Sources(RwLock<BTreeMap<SourceName, Arc<Source>>>);

impl Sources {
    pub(crate) fn new(sources: Vec<Source>) -> Self {
        Self(RwLock::new(by_name(sources)))
    }

    /// Returns one source for each kind.
    pub(crate) fn of_all_kinds() -> Self {
        Self::new(Kind::ALL.into_iter().filter_map(Source::of_kind).collect())
    }

    /// Returns the source of this name.
    pub(crate) fn find(&self, name: &str) -> Option<Arc<Source>> {
        let name = SourceName::parse(name).ok()?;
        let sources = self.0.read().unwrap_or_else(PoisonError::into_inner);
        sources.get(&name).cloned()
    }

    pub(crate) fn replace(&self, sources: Vec<Source>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = by_name(sources);
    }
}

fn by_name(sources: Vec<Source>) -> BTreeMap<SourceName, Arc<Source>> {
    let sources = sources.into_iter();
    sources
        .map(|source| (source.name.clone(), Arc::new(source)))
        .collect()
}
