//! Merkle trees as in RFC 6962, section 2.1: a leaf is `SHA-256(0x00 || data)`, a node `SHA-256(0x01 || left || right)`,
//! and a tree of n leaves splits at the largest power of two below n. The data of a leaf is a document's SHA-256, so
//! that a proof can be checked with the document's name alone.

use causeway_interface::Digest;
use causeway_wire::signing::sha256;
use serde::{Deserialize, Serialize};

/// Leaves that a proof may speak of: many more than a transaction has words.
const MAX_LEAVES: usize = 1 << 20;

/// The way from a leaf to the root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// Place of the leaf.
    pub index: usize,
    /// Leaves of the tree.
    pub leaves: usize,
    /// The siblings, from the leaf up.
    pub path: Vec<Digest>,
}

fn leaf(document: &Digest) -> Digest {
    Digest(sha256(&[&[0u8], document.0.as_slice()].concat()))
}

fn node(left: &Digest, right: &Digest) -> Digest {
    Digest(sha256(&[&[1u8], left.0.as_slice(), &right.0].concat()))
}

/// The largest power of two below `n`, for n > 1.
fn split(n: usize) -> usize {
    n.next_power_of_two() / 2
}

/// The root over documents. Of none it is the hash of nothing, as in the RFC.
#[must_use]
pub fn root(documents: &[Digest]) -> Digest {
    match documents {
        [] => Digest(sha256(&[])),
        [one] => leaf(one),
        many => {
            let (left, right) = many.split_at(split(many.len()));
            node(&root(left), &root(right))
        }
    }
}

/// The proof of the document at `index`; none where there is no such.
#[must_use]
pub fn prove(documents: &[Digest], index: usize) -> Option<Proof> {
    if index >= documents.len() {
        return None;
    }
    let mut path = Vec::new();
    let (mut rest, mut at) = (documents, index);
    while rest.len() > 1 {
        let (left, right) = rest.split_at(split(rest.len()));
        if at < left.len() {
            path.push(root(right));
            rest = left;
        } else {
            path.push(root(left));
            at -= left.len();
            rest = right;
        }
    }
    path.reverse();
    Some(Proof { index, leaves: documents.len(), path })
}

impl Proof {
    /// The root that this proof leads to from a document; none where the proof is not one.
    #[must_use]
    pub fn root(&self, document: &Digest) -> Option<Digest> {
        if self.index >= self.leaves || self.leaves > MAX_LEAVES {
            return None;
        }
        // Which side the sibling is on, from the root down, is a matter of place and size only.
        let mut sides = Vec::new();
        let (mut leaves, mut at) = (self.leaves, self.index);
        while leaves > 1 {
            let left = split(leaves);
            let is_left = at < left;
            sides.push(is_left);
            (leaves, at) = if is_left { (left, at) } else { (leaves - left, at - left) };
        }
        if sides.len() != self.path.len() {
            return None;
        }
        let climb = |hash: Digest, (sibling, is_left): (&Digest, &bool)| {
            if *is_left { node(&hash, sibling) } else { node(sibling, &hash) }
        };
        Some(self.path.iter().zip(sides.iter().rev()).fold(leaf(document), climb))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn documents(n: usize) -> Vec<Digest> {
        (0..n).map(|i| Digest(sha256(&i.to_le_bytes()))).collect()
    }

    #[test]
    fn every_proof_leads_to_the_root_and_no_other_does() {
        for n in 1..40 {
            let documents = documents(n);
            let root = root(&documents);
            for (index, document) in documents.iter().enumerate() {
                let proof = prove(&documents, index).unwrap();
                assert_eq!(proof.root(document), Some(root), "{index} of {n}");
                assert_ne!(proof.root(&Digest([0; 32])), Some(root));
                for other in (0..n).filter(|o| *o != index) {
                    assert_ne!(Proof { index: other, ..proof.clone() }.root(document), Some(root));
                }
                let mut longer = proof.clone();
                longer.path.push(Digest::ZERO);
                assert_eq!(longer.root(document), None);
            }
            assert_eq!(prove(&documents, n), None);
        }
    }

    #[test]
    fn leaves_and_nodes_can_not_stand_for_each_other() {
        let documents = documents(2);
        assert_ne!(root(&documents), root(&[root(&documents)]));
        assert_eq!(root(&[]).to_string(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }
}
