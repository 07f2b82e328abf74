//! A device's text, in two parts: the beginning, which a reflector fills with thousands of lines of BGP and no link ever
//! changes, and the rest. All texts with the same beginning share it, and its hash is taken up where it ends: a change
//! of a link costs what the device's interfaces take, however many peers it has.

use std::{fmt, sync::Arc};

use causeway_interface::{Code, Ip4};
use sha2::{Digest, Sha256};

use super::Family;
use crate::{
    backbone::Sessions,
    plan::{Routing, UserSessions},
};

/// The beginning of a text, up to the end of the section of BGP, and what it was made of.
#[derive(Clone, Debug)]
pub struct Lead {
    pub(super) family: Family,
    pub(super) code: Code,
    pub(super) bgp: Option<Bgp>,
    /// Names of the two routing loopbacks.
    pub(super) loopbacks: [String; 2],
    /// What comes before the section of BGP.
    pub(super) head: String,
    text: String,
    /// After the text.
    hash: Sha256,
}

/// Of a device's routing, what its section of BGP says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bgp {
    asn: u32,
    router_id: Ip4,
    ipv4_source: Ip4,
    users: UserSessions,
    sessions: Sessions,
}

impl Bgp {
    pub(super) fn of(routing: &Routing) -> Self {
        Self {
            asn: routing.asn,
            router_id: routing.router_id,
            ipv4_source: routing.ipv4_source,
            users: routing.users,
            sessions: routing.sessions.clone(),
        }
    }
}

impl Lead {
    /// Of a head and the section of BGP, each ending with its line's end.
    pub(super) fn new(
        (family, code): (Family, Code),
        bgp: Option<Bgp>,
        loopbacks: [String; 2],
        head: String,
        section: &str,
    ) -> Self {
        let text = [head.as_str(), section].concat();
        let hash = Sha256::new_with_prefix(&text);
        Self { family, code, bgp, loopbacks, head, text, hash }
    }
}

/// A whole text. It prints as what it says; equal ones say the same.
#[derive(Clone, Debug)]
pub struct Text {
    lead: Arc<Lead>,
    rest: Arc<str>,
}

impl Text {
    /// A beginning and what follows it.
    pub(super) fn new(lead: Arc<Lead>, rest: &str) -> Self {
        Self { lead, rest: rest.into() }
    }

    /// Its beginning.
    pub(super) const fn lead(&self) -> &Arc<Lead> {
        &self.lead
    }

    /// In bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lead.text.len() + self.rest.len()
    }

    /// Whether it says nothing at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// SHA-256 of the whole.
    #[must_use]
    pub fn sha256(&self) -> [u8; 32] {
        self.lead.hash.clone().chain_update(self.rest.as_bytes()).finalize().into()
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lead.text)?;
        f.write_str(&self.rest)
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        let bytes = |text: &Self| text.to_string();
        if Arc::ptr_eq(&self.lead, &other.lead) { self.rest == other.rest } else { bytes(self) == bytes(other) }
    }
}

impl Eq for Text {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::code;

    fn text(head: &str, section: &str, rest: &str) -> Text {
        let lead = Lead::new((Family::Frr, code("a")), None, [const { String::new() }; 2], head.into(), section);
        Text::new(Arc::new(lead), rest)
    }

    #[test]
    fn where_it_is_cut_changes_neither_the_text_nor_its_hash() {
        let whole = "hostname a\nrouter bgp 1\ninterface b\n";
        for (head, section) in [(0, 0), (3, 9), (11, 24), (36, 36)] {
            let cut = text(&whole[..head], &whole[head..section], &whole[section..]);
            assert_eq!((cut.to_string().as_str(), cut.len()), (whole, whole.len()));
            assert_eq!(cut.sha256(), causeway_wire::signing::sha256(whole.as_bytes()));
            assert_eq!(cut, text("", "", whole));
        }
        assert_ne!(text("a", "", "b"), text("a", "", "c"));
        assert!(text("", "", "").is_empty());
    }
}
