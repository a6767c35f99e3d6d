//! The Merkle tree of RFC 6962, section 2.1, as the roots of its perfect subtrees: enough to add leaves and to know the
//! root, 32 bytes for each bit that is set in the size.

use sha2::{Digest, Sha256};

/// SHA-256.
pub type Hash = [u8; 32];

/// Marks a node (RFC 6962, section 2.1).
const NODE: u8 = 1;

/// A tree that leaves are added to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tree {
    size: u64,
    /// The roots of the perfect subtrees, the largest first.
    roots: Vec<Hash>,
}

impl Tree {
    /// A tree of this size with these subtrees, the largest first; nothing where that cannot be.
    #[must_use]
    pub fn resume(size: u64, roots: Vec<Hash>) -> Option<Self> {
        (roots.len() == usize::try_from(size.count_ones()).ok()?).then_some(Self { size, roots })
    }

    /// How many leaves it has.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The roots of its perfect subtrees, the largest first.
    #[must_use]
    pub fn roots(&self) -> &[Hash] {
        &self.roots
    }

    /// Adds a leaf by its hash.
    pub fn push(&mut self, leaf: Hash) {
        let mut root = leaf;
        // Each bit that is set at the end is a subtree of the same size as the one that was just made.
        for _ in 0..self.size.trailing_ones() {
            match self.roots.pop() {
                Some(left) => root = node(&left, &root),
                None => break,
            }
        }
        self.roots.push(root);
        self.size += 1;
    }

    /// The root hash: of an empty tree that of no bytes.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut roots = self.roots.iter().rev();
        match roots.next() {
            Some(last) => roots.fold(*last, |right, left| node(left, &right)),
            None => Sha256::digest([]).into(),
        }
    }
}

fn node(left: &Hash, right: &Hash) -> Hash {
    let mut hash = Sha256::new();
    hash.update([NODE]);
    hash.update(left);
    hash.update(right);
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition, word for word.
    fn defined(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => Sha256::digest([]).into(),
            [one] => *one,
            many => {
                let split = 1usize << (usize::BITS - 1 - (many.len() - 1).leading_zeros());
                node(&defined(&many[..split]), &defined(&many[split..]))
            }
        }
    }

    #[test]
    fn the_root_is_the_one_that_the_rfc_defines() {
        let leaves: Vec<Hash> = (0u8..100).map(|n| Sha256::digest([0, n]).into()).collect();
        let mut tree = Tree::default();
        for (count, leaf) in leaves.iter().enumerate() {
            assert_eq!(tree.root(), defined(&leaves[..count]), "{count} leaves");
            tree.push(*leaf);
            let again = Tree::resume(tree.size(), tree.roots().to_vec());
            assert_eq!(again.as_ref(), Some(&tree));
        }
        assert_eq!(Tree::resume(3, vec![[0; 32]]), None);
    }

    #[test]
    fn the_published_vectors_hold() {
        // Certificate Transparency's own test vectors: leaves "", 00, 10, 2021 …
        let leaf = |bytes: &[u8]| -> Hash { Sha256::digest([&[0], bytes].concat()).into() };
        let mut tree = Tree::default();
        let hex = |hash: Hash| hash.iter().map(|b| format!("{b:02x}")).collect::<String>();
        tree.push(leaf(b""));
        assert_eq!(hex(tree.root()), "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
        tree.push(leaf(b"\x00"));
        assert_eq!(hex(tree.root()), "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125");
        tree.push(leaf(b"\x10"));
        assert_eq!(hex(tree.root()), "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77");
    }
}
