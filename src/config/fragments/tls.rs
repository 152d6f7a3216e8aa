//! `tls` and `auth`: read as in the Collector, and refused until this program can do what they ask.

use crate::base::{Problems, Secret};
use crate::config::Section;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The keys of the Collector's `configtls`, a client's and a server's. TLS is not in this version: a client's
/// `insecure: true` works, everything else is understood and refused.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TlsConfig {
    /// Client: talk without TLS.
    pub insecure: bool,
    /// Client: use TLS and believe any certificate.
    pub insecure_skip_verify: bool,
    /// Client: the name to expect in the server's certificate.
    pub server_name_override: String,
    /// The certificate authorities to believe, a PEM file.
    pub ca_file: String,
    /// The same as text.
    pub ca_pem: Secret,
    /// Whether the system's authorities are believed besides.
    pub include_system_ca_certs_pool: bool,
    /// The own certificate, a PEM file.
    pub cert_file: String,
    /// The same as text.
    pub cert_pem: Secret,
    /// The own private key, a PEM file.
    pub key_file: String,
    /// The same as text.
    pub key_pem: Secret,
    /// The oldest version spoken.
    pub min_version: String,
    /// The newest version spoken.
    pub max_version: String,
    /// The cipher suites offered, by their Go names.
    pub cipher_suites: Vec<String>,
    /// The key exchanges offered, in order of preference.
    pub curve_preferences: Vec<String>,
    /// How often the certificate is read again; 0: never.
    #[serde(with = "crate::base::duration")]
    pub reload_interval: Duration,
    /// Server: the authorities of clients, a PEM file; with it clients must show a certificate.
    pub client_ca_file: String,
    /// Server: whether that file is watched.
    pub client_ca_file_reload: bool,
}

const MISSING: &str = "TLS is not in this version";

impl TlsConfig {
    /// Whether a client that has this section would use TLS; as in the Collector `insecure` with an authority does.
    #[must_use]
    pub fn wants_tls(&self) -> bool {
        !self.insecure || !self.ca_file.is_empty() || !self.ca_pem.is_empty()
    }

    /// Checks a client's section; `at` is the `tls` section.
    pub fn validate_client(&self, at: &Section<'_>, problems: &mut Problems) {
        if self.wants_tls() {
            problems.error(
                at.place().clone(),
                MISSING,
                "write `tls: {insecure: true}` to talk without it",
            );
        }
    }

    /// Checks a server's section, which by being there asks for TLS.
    pub fn validate_server(&self, at: &Section<'_>, problems: &mut Problems) {
        problems.error(
            at.place().clone(),
            MISSING,
            "leave `tls` out, and let only trusted clients reach the port",
        );
    }
}

/// Which extension checks, or gives, credentials. Not in this version: understood, and refused.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AuthConfig {
    /// The extension's id.
    pub authenticator: String,
    /// HTTP servers: query parameters that the extension may look at.
    pub request_params: Vec<String>,
}

impl AuthConfig {
    /// Checks the section; `at` is the `auth` section.
    pub fn validate(&self, at: &Section<'_>, problems: &mut Problems) {
        let message = "authentication is not in this version";
        problems.error(
            at.place().clone(),
            message,
            "leave `auth` out; a client's token can be written under `headers`",
        );
    }
}
