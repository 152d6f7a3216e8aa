//! Who stands at the other end of a client's span: addresses, databases, queues (N-31, N-33 to N-35, N-39).

use crate::scan::alias::Slot;
use crate::scan::facts::Facts;
use crate::scan::identity::{Intern, Interned, Known, Words, own, plain};
use crate::scan::kind::NodeKind;
use crate::scan::origin::Origin;
use crate::scan::sighting::{Flags, NO_NODE};
use crate::scan::{model, text};
use std::sync::{Arc, LazyLock};

/// A host and its port, cut out of whatever was written for an address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Address<'a> {
    pub(crate) host: &'a [u8],
    /// 0 where there is none.
    pub(crate) port: u16,
}

impl<'a> Address<'a> {
    /// Of an address that may be a URL; the port in it beats one that stands beside it.
    #[inline]
    pub(crate) fn of(text: &'a [u8], port: u16) -> Address<'a> {
        let is_cut = |byte: &u8| matches!(byte, b':' | b'/' | b'?' | b'#' | b'@');
        // no way out of the loop, so that it takes many bytes at once
        if text.iter().fold(false, |any, byte| any | is_cut(byte)) {
            Address::cut_out_of(text, port)
        } else {
            Address { host: text, port }
        }
    }

    fn cut_out_of(text: &'a [u8], port: u16) -> Address<'a> {
        let (scheme, rest) = match text.windows(3).position(|three| three == b"://") {
            Some(at) => (&text[..at], &text[at + 3..]),
            None => (&b""[..], text),
        };
        let end = rest
            .iter()
            .position(|byte| matches!(byte, b'/' | b'?' | b'#'))
            .unwrap_or(rest.len());
        let authority = &rest[..end];
        let host = match authority.iter().rposition(|byte| *byte == b'@') {
            Some(at) => &authority[at + 1..],
            None => authority,
        };
        // of a bare IPv6 address the last part is no port
        let bracket = host.iter().rposition(|byte| *byte == b']');
        let after = bracket.map_or(0, |at| at + 1);
        let colons = host[after..].iter().filter(|byte| **byte == b':').count();
        let colon = host.iter().rposition(|byte| *byte == b':');
        let (host, own) = match colon.filter(|at| *at >= after && colons == 1) {
            Some(at) => match number(&host[at + 1..]) {
                Some(port) => (&host[..at], Some(port)),
                None => (host, None),
            },
            None => (host, None),
        };
        let default = match scheme {
            b"http" => Some(80),
            b"https" => Some(443),
            _ => None,
        };
        Address {
            host,
            port: own.or(default).unwrap_or(port),
        }
    }

    /// Of the peer that the span names, whatever key it uses (N-39); none without one.
    pub(crate) fn of_peer(facts: &Facts<'a>) -> Address<'a> {
        let port = port(facts);
        let slots = [Slot::Host, Slot::Url, Slot::OtherPeer];
        slots
            .into_iter()
            .map(|slot| Address::of(facts.text(slot), port))
            .find(|address| !address.host.is_empty())
            .unwrap_or_default()
    }

    /// `host[:port]`, for a service that names itself where the host is its own; the ports of the web are not written.
    pub(crate) fn shown(self, origin: &Origin) -> String {
        let host = text::tidy(self.host).to_lowercase();
        let host = if is_local(&host) {
            format!("{}@localhost", origin.service_name)
        } else {
            host
        };
        match self.port {
            0 | 80 | 443 => host,
            port => format!("{host}:{port}"),
        }
    }

    /// Whether a model answers there (N-23).
    pub(crate) fn is_model_endpoint(self) -> bool {
        !self.host.is_empty() && model::is_endpoint(&text::tidy(self.host))
    }
}

fn number(digits: &[u8]) -> Option<u16> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// The port beside the address.
pub(crate) fn port(facts: &Facts<'_>) -> u16 {
    facts
        .number(Slot::Port)
        .and_then(|port| u16::try_from(port).ok())
        .unwrap_or(0)
}

fn is_local(host: &str) -> bool {
    matches!(host, "localhost" | "::1" | "[::1]" | "0.0.0.0") || host.starts_with("127.")
}

/// Databases that run inside their client (N-34).
const EMBEDDED: &[&str] = &["sqlite", "duckdb", "h2", "derby", "hsqldb"];

/// Systems that hold vectors (N-33), in lower case.
const VECTOR_STORES: &[&[u8]] = &[
    b"pinecone",
    b"chroma",
    b"chromadb",
    b"qdrant",
    b"weaviate",
    b"milvus",
    b"lancedb",
    b"marqo",
    b"pg_vector",
    b"pgvector",
    b"vespa",
    b"faiss",
    b"astra",
    b"typesense",
    b"simple",
];

/// Whether a database system holds vectors.
pub(crate) fn is_vector_store(system: &[u8]) -> bool {
    VECTOR_STORES
        .iter()
        .any(|store| store.eq_ignore_ascii_case(system))
}

/// Scope and name of a database or a vector store; `last` is its namespace or its collection.
pub(crate) fn store(words: [&[u8]; 3], port: u16, origin: &Origin) -> (String, String) {
    let system = text::tidy(words[0]).to_lowercase();
    let address = Address::of(words[1], port);
    let host = text::tidy(address.host).to_lowercase();
    let place = if host.is_empty() || is_local(&host) || EMBEDDED.contains(&system.as_str()) {
        origin.service_name.to_string()
    } else if address.port == 0 {
        host
    } else {
        format!("{host}:{}", address.port)
    };
    let last = text::tidy(words[2]);
    let name = if last.is_empty() {
        place
    } else {
        format!("{place}/{last}")
    };
    (system, name)
}

/// Scope and name of a queue (N-35).
pub(crate) fn queue(words: [&[u8]; 3]) -> (String, String) {
    let or = |text: String, other: &str| {
        if text.is_empty() {
            other.to_owned()
        } else {
            text
        }
    };
    let system = or(text::tidy(words[0]), "unknown");
    let name = if words[2].is_empty() {
        or(text::tidy(words[1]), "(unnamed)")
    } else {
        "(temporary)".to_owned()
    };
    (system, name)
}

/// The words and the port of a client's peer (N-39).
pub(crate) fn words<'a>(facts: &Facts<'a>) -> (Words<'a>, u16) {
    let named = facts.text(Slot::Peer);
    if !named.is_empty() {
        return ([named, b"", b""], 0);
    }
    let Address { host, port } = Address::of_peer(facts);
    ([b"", host, b""], port)
}

/// The same of an MCP client's (N-31).
pub(crate) fn mcp_words<'a>(facts: &Facts<'a>) -> (Words<'a>, u16) {
    let Address { host, port } = Address::of(facts.text(Slot::Host), port(facts));
    ([facts.text(Slot::McpServerName), host, b""], port)
}

/// N-39; no node for an endpoint of models (E-31) or where nothing says who it is.
pub(crate) fn know(words: Words<'_>, port: u16, origin: &Origin, intern: &dyn Intern) -> Known {
    if !words[0].is_empty() {
        return own(NodeKind::Service, words[0], origin, intern);
    }
    let host = words[1];
    let address = Address { host, port };
    if host.is_empty() || address.is_model_endpoint() {
        return NOBODY.clone();
    }
    let name = address.shown(origin);
    let known = plain(NodeKind::Service, "ext", name, origin, intern);
    Known {
        flags: Flags::PEER_BY_ADDRESS,
        ..known
    }
}

/// N-31, the client's side.
pub(crate) fn know_mcp(words: Words<'_>, port: u16, origin: &Origin, intern: &dyn Intern) -> Known {
    const KIND: NodeKind = NodeKind::McpServer;
    let [named, host, _] = words;
    if !named.is_empty() {
        return plain(KIND, "ext", text::tidy(named), origin, intern);
    }
    if host.is_empty() {
        let name = "unresolved".to_owned();
        return plain(KIND, &origin.service_name, name, origin, intern);
    }
    let name = Address { host, port }.shown(origin);
    let known = plain(KIND, "ext", name, origin, intern);
    Known {
        flags: Flags::PEER_BY_ADDRESS,
        ..known
    }
}

/// What is remembered of a peer that is not drawn.
static NOBODY: LazyLock<Known> = LazyLock::new(|| Known {
    node: Interned {
        id: NO_NODE,
        attributes: Arc::from(&b""[..]),
    },
    kind: NodeKind::Service,
    name: 0,
    flags: Flags::default(),
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_and_port_are_cut_out_of_what_is_written() {
        for (text, beside, host, port) in [
            ("orders", 8080, "orders", 8080),
            ("orders:9000", 0, "orders", 9000),
            (
                "https://user:pw@api.pay.example:443/v1?x=1",
                0,
                "api.pay.example",
                443,
            ),
            ("http://stock.example/v2", 8080, "stock.example", 80),
            ("http://stock.example:8080/v2/", 0, "stock.example", 8080),
            ("[::1]:50051", 0, "[::1]", 50051),
            ("fe80::1", 7, "fe80::1", 7),
            ("unix:/run/x", 0, "unix:", 0),
            ("[", 0, "[", 0),
            ("", 0, "", 0),
        ] {
            let found = Address::of(text.as_bytes(), beside);
            let host = host.as_bytes();
            assert_eq!((found.host, found.port), (host, port), "{text}");
        }
    }
}
