//! The signed head of the log: a C2SP checkpoint (<https://c2sp.org/tlog-checkpoint>) in a signed note
//! (<https://c2sp.org/signed-note>), Ed25519.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::SigningKey;
use signed_note::{Note, StandardSigner, StandardVerifier, VerifierList};

use crate::merkle::{Hash, Tree};

/// The algorithm's byte in a key (signed-note: Ed25519).
const ED25519: u8 = 1;

/// Why a key or a checkpoint is not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// The name has a space, a plus or nothing in it, or the key is no key.
    #[error("the key is malformed; a public key looks like name+01234567+base64")]
    Key,
    /// Not the text of a checkpoint.
    #[error("the checkpoint is malformed")]
    Malformed,
    /// Signed by somebody else, or changed.
    #[error("the checkpoint's signature is not this key's")]
    Signature,
    /// Of another log.
    #[error("the checkpoint is of another log")]
    Origin,
}

/// Signs checkpoints of one log.
pub struct Key {
    origin: String,
    signer: StandardSigner,
    public: String,
}

/// Tells whether a checkpoint was signed by a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey(String);

impl Key {
    /// The key of a log, from 32 secret bytes.
    ///
    /// # Errors
    /// An origin with spaces or pluses.
    pub fn new(origin: &str, seed: &[u8; 32]) -> Result<Self, CheckpointError> {
        let key = SigningKey::from_bytes(seed);
        let public = [&[ED25519], key.verifying_key().as_bytes().as_slice()].concat();
        let id = signed_note::key_id(origin, &public);
        let secret = STANDARD.encode([&[ED25519], seed.as_slice()].concat());
        let signer = StandardSigner::new(&format!("PRIVATE+KEY+{origin}+{id:08x}+{secret}"))
            .map_err(|_| CheckpointError::Key)?;
        let public = signed_note::new_ed25519_verifier_key(origin, &key.verifying_key());
        Ok(Self { origin: origin.to_owned(), signer, public })
    }

    /// For whoever verifies.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.public.clone())
    }

    /// Signs the head of a tree.
    ///
    /// # Errors
    /// Never for an origin that [`Key::new`] took.
    pub fn sign(&self, tree: &Tree) -> Result<Checkpoint, CheckpointError> {
        let (size, root) = (tree.size(), tree.root());
        let note = self.note(&format!("{}\n{size}\n{}\n", self.origin, STANDARD.encode(root)))?;
        Ok(Checkpoint { origin: self.origin.clone(), size, root, note })
    }

    /// Signs any text that ends in a newline.
    ///
    /// # Errors
    /// A text with control characters, or one that is too long for a note.
    pub fn note(&self, text: &str) -> Result<String, CheckpointError> {
        let mut note = Note::new(text.as_bytes(), &[]).map_err(|_| CheckpointError::Malformed)?;
        note.add_sigs(&[&self.signer]).map_err(|_| CheckpointError::Key)?;
        String::from_utf8(note.to_bytes()).map_err(|_| CheckpointError::Malformed)
    }
}

impl PublicKey {
    /// Reads a key as it is shown: `name+01234567+base64`.
    ///
    /// # Errors
    /// Anything else.
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        StandardVerifier::new(text.trim()).map_err(|_| CheckpointError::Key)?;
        Ok(Self(text.trim().to_owned()))
    }

    /// The key as it is shown.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }

    /// The text of a note that this key has signed.
    ///
    /// # Errors
    /// What is no note, and what this key has not signed.
    pub fn open(&self, note: &str) -> Result<String, CheckpointError> {
        let verifier = StandardVerifier::new(&self.0).map_err(|_| CheckpointError::Key)?;
        let note = Note::from_bytes(note.as_bytes()).map_err(|_| CheckpointError::Malformed)?;
        note.verify(&VerifierList::new(vec![Box::new(verifier)])).map_err(|_| CheckpointError::Signature)?;
        String::from_utf8(note.text().to_vec()).map_err(|_| CheckpointError::Malformed)
    }

    /// A checkpoint that this key has signed for its log.
    ///
    /// # Errors
    /// What is no checkpoint, what this key has not signed, and another log's.
    pub fn checkpoint(&self, note: &str) -> Result<Checkpoint, CheckpointError> {
        let text = self.open(note)?;
        let mut lines = text.lines();
        let (origin, size, root) = (lines.next(), lines.next(), lines.next());
        let origin = origin.ok_or(CheckpointError::Malformed)?;
        if self.0.split('+').next() != Some(origin) {
            return Err(CheckpointError::Origin);
        }
        let size = size.and_then(|s| s.parse().ok()).ok_or(CheckpointError::Malformed)?;
        let root = root.and_then(|r| STANDARD.decode(r).ok()).and_then(|r| r.try_into().ok());
        let root = root.ok_or(CheckpointError::Malformed)?;
        Ok(Checkpoint { origin: origin.to_owned(), size, root, note: note.to_owned() })
    }
}

/// A signed head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log.
    pub origin: String,
    /// How many events it holds.
    pub size: u64,
    /// The tree's root.
    pub root: Hash,
    /// As it is signed.
    pub note: String,
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_is_its_logs_and_its_keys() {
        let key = Key::new("palisade/audit/x", &[7; 32]).unwrap();
        let mut tree = Tree::default();
        tree.push([1; 32]);
        let signed = key.sign(&tree).unwrap();
        assert!(signed.note.starts_with("palisade/audit/x\n1\n"), "{}", signed.note);
        assert_eq!(key.public().checkpoint(&signed.note), Ok(signed.clone()));
        assert_eq!(PublicKey::parse(key.public().text()), Ok(key.public()));
        let other = Key::new("palisade/audit/x", &[8; 32]).unwrap().public();
        assert_eq!(other.checkpoint(&signed.note), Err(CheckpointError::Signature));
        let changed = signed.note.replace("\n1\n", "\n2\n");
        assert_eq!(key.public().checkpoint(&changed), Err(CheckpointError::Signature));
        assert_eq!(key.public().checkpoint("hello"), Err(CheckpointError::Malformed));
        let stranger = key.note("another/log\n1\nAAAA\n").unwrap();
        assert_eq!(key.public().checkpoint(&stranger), Err(CheckpointError::Origin));
        assert!(Key::new("has a space", &[7; 32]).is_err() && PublicKey::parse("x+y").is_err());
    }
}
