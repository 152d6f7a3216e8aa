//! Where to listen and where to send.

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// `host:port`, as Go writes it: `0.0.0.0:4317`, `localhost:4317`, `[::1]:4317`, `:4317` (all addresses).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// A name or an address, an IPv6 one without its brackets; empty for all of this machine's addresses.
    pub host: String,
    /// 0 lets the system choose, when listening.
    pub port: u16,
}

impl Endpoint {
    /// A port on this machine only: the default of everything that listens.
    #[must_use]
    pub fn localhost(port: u16) -> Self {
        Endpoint {
            host: "localhost".to_owned(),
            port,
        }
    }

    /// Whether only this machine is meant.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        match self.host.parse::<IpAddr>() {
            Ok(address) => address.is_loopback(),
            Err(_) => self.host.eq_ignore_ascii_case("localhost"),
        }
    }
}

impl FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            |why: &str| format!("`{text}` is not an endpoint: {why}, as in `localhost:4317`");
        if text.contains("://") {
            return Err(wrong("write host and port without a scheme"));
        }
        let (host, port) = text
            .rsplit_once(':')
            .ok_or_else(|| wrong("a port is missing"))?;
        let port = port
            .parse()
            .map_err(|_| wrong("the port is a number from 0 to 65535"))?;
        let inside = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
        let host = match inside {
            Some(address) if address.parse::<std::net::Ipv6Addr>().is_ok() => address,
            Some(_) => return Err(wrong("brackets are for IPv6 addresses")),
            None if host.contains(':') => return Err(wrong("IPv6 addresses stand in brackets")),
            None => host,
        };
        let odd = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':'));
        if host.contains(odd) {
            return Err(wrong("the host is a name or an address"));
        }
        Ok(Endpoint {
            host: host.to_owned(),
            port,
        })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl Serialize for Endpoint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Endpoint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Text)
    }
}

struct Text;

impl Visitor<'_> for Text {
    type Value = Endpoint;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an endpoint such as `localhost:4317`")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Endpoint, E> {
        text.parse().map_err(E::custom)
    }
}

/// Where a client connects to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Whether the scheme asked for TLS; `None` if there was no scheme.
    pub https: Option<bool>,
    /// Host and port.
    pub endpoint: Endpoint,
    /// The path without a closing slash; empty if there is none.
    pub path: String,
}

impl Target {
    /// Reads a gRPC client's endpoint: `host:port`, alone or after `http://`, `https://`, `dns:///` or `passthrough:///`.
    ///
    /// # Errors
    /// A sentence about the text.
    pub fn parse_grpc(text: &str) -> Result<Target, String> {
        if text.starts_with("unix:") {
            return Err(format!("`{text}`: Unix sockets are not in this version"));
        }
        if text.starts_with("http://") || text.starts_with("https://") {
            let target = Target::parse_url(text)?;
            if !target.path.is_empty() {
                return Err(format!("`{text}` has a path, which gRPC has no use for"));
            }
            return Ok(target);
        }
        let bare = text
            .strip_prefix("dns:///")
            .or_else(|| text.strip_prefix("passthrough:///"));
        let endpoint: Endpoint = bare.unwrap_or(text).parse()?;
        check_target(text, &endpoint)?;
        Ok(Target {
            https: None,
            endpoint,
            path: String::new(),
        })
    }

    /// Reads an HTTP client's endpoint: a URL without user, query or fragment; ports 80 and 443 may be left out.
    ///
    /// # Errors
    /// A sentence about the text.
    pub fn parse_url(text: &str) -> Result<Target, String> {
        let lower = text.to_ascii_lowercase();
        let (https, skip) = match lower.as_str() {
            l if l.starts_with("http://") => (false, 7),
            l if l.starts_with("https://") => (true, 8),
            _ => {
                return Err(format!(
                    "`{text}` is not a URL; it begins with `http://` or `https://`"
                ));
            }
        };
        let rest = text.get(skip..).unwrap_or_default();
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err("a URL with a user in it; write credentials under `headers`".to_owned());
        }
        let allowed = |c: char| {
            c.is_ascii_graphic() && !matches!(c, '?' | '#' | '"' | '<' | '>' | '\\' | '^' | '`')
        };
        if !path.chars().all(allowed) {
            return Err(format!(
                "`{text}`: the path has a query, a fragment or a character that must be escaped"
            ));
        }
        let has_port = authority
            .rsplit_once(':')
            .is_some_and(|(_, port)| !port.contains(']'));
        let endpoint: Endpoint = if has_port {
            authority.parse()?
        } else {
            format!("{authority}:{}", if https { 443 } else { 80 }).parse()?
        };
        check_target(text, &endpoint)?;
        Ok(Target {
            https: Some(https),
            endpoint,
            path: path.trim_end_matches('/').to_owned(),
        })
    }
}

fn check_target(text: &str, endpoint: &Endpoint) -> Result<(), String> {
    if endpoint.host.is_empty() {
        return Err(format!("`{text}` does not say which host to connect to"));
    }
    if endpoint.port == 0 {
        return Err(format!("`{text}`: nothing listens on port 0"));
    }
    Ok(())
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.https == Some(true) {
            "https"
        } else {
            "http"
        };
        write!(f, "{scheme}://{}{}", self.endpoint, self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_read_as_in_go() {
        for (text, host, port, loopback) in [
            ("0.0.0.0:4317", "0.0.0.0", 4317, false),
            ("localhost:0", "localhost", 0, true),
            (":4317", "", 4317, false),
            ("[::1]:4317", "::1", 4317, true),
            ("127.1.2.3:1", "127.1.2.3", 1, true),
            ("my_host-1.svc:65535", "my_host-1.svc", 65535, false),
        ] {
            let endpoint: Endpoint = text.parse().expect(text);
            assert_eq!((endpoint.host.as_str(), endpoint.port), (host, port));
            assert_eq!(endpoint.is_loopback(), loopback, "{text}");
            assert_eq!(endpoint.to_string(), text);
        }
        for text in [
            "",
            "localhost",
            "4317",
            "::1:4317",
            "[::1]",
            "[x]:1",
            "a:65536",
            "a:-1",
            "a b:1",
            "http://a:1",
            "a/b:1",
        ] {
            assert!(text.parse::<Endpoint>().is_err(), "{text}");
        }
    }

    #[test]
    fn targets_are_read_with_and_without_a_scheme() {
        for (text, printed, https) in [
            ("collector:4317", "http://collector:4317", None),
            ("dns:///collector:4317", "http://collector:4317", None),
            (
                "http://collector:4317/",
                "http://collector:4317",
                Some(false),
            ),
            ("HTTPS://[::1]", "https://[::1]:443", Some(true)),
        ] {
            let target = Target::parse_grpc(text)
                .or_else(|_| Target::parse_url(text))
                .expect(text);
            assert_eq!(
                (target.to_string().as_str(), target.https),
                (printed, https)
            );
        }
        let with_path = Target::parse_url("https://api.example/otlp/v1/").expect("a URL");
        assert_eq!(with_path.to_string(), "https://api.example:443/otlp/v1");
        for text in [
            "",
            "collector",
            ":4317",
            "unix:/x",
            "http://",
            "http://a:4317/x",
            "a:0",
            "https://u:p@a",
            "HTTP://a",
        ] {
            assert!(Target::parse_grpc(text).is_err(), "{text}");
        }
        for text in [
            "a:4318",
            "http://a/?q",
            "http://a/ b",
            "http://a/#f",
            "ftp://a",
            "http://a:b",
        ] {
            assert!(Target::parse_url(text).is_err(), "{text}");
        }
        assert!(
            !Target::parse_url("http://u:hunter2@a")
                .expect_err("refused")
                .contains("hunter2")
        );
    }
}
