//! Which cryptography TLS uses.

/// Makes ring the process's TLS provider. Call it once at start, before the
/// first connection; a second call changes nothing.
///
/// Without it, rustls panics at the first handshake as soon as a dependency
/// brings a second provider along and the choice is no longer obvious.
pub fn install_provider() {
    // An error means that a provider is installed already, and the first stays.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_provider_is_there_after_any_number_of_calls() {
        super::install_provider();
        super::install_provider();
        assert!(rustls::crypto::CryptoProvider::get_default().is_some());
    }
}
