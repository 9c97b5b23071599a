//! Cryptography provider of TLS.

/// Makes ring the TLS provider of the process. Call it at start, before the first
/// connection; further calls change nothing.
///
/// Without it, rustls panics at the first handshake if a dependency adds a second
/// provider and the choice is ambiguous.
pub fn install_provider() {
    // An error means that a provider is already installed; it stays.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

#[cfg(test)]
mod tests {
    #[test]
    fn provider_is_installed_after_any_number_of_calls() {
        super::install_provider();
        super::install_provider();
        assert!(rustls::crypto::CryptoProvider::get_default().is_some());
    }
}
