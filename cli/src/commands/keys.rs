//! `palisade keys …`

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Subcommand;
use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::EncodePrivateKey;
use ed25519_dalek::pkcs8::spki::EncodePublicKey;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use palisade_catalog::secrets::MasterKey;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Make a master key: server-side passwords are derived from it
    Master {
        /// The file to write; must not exist
        file: PathBuf,
    },
    /// Make an Ed25519 key pair for API tokens
    Jwt {
        /// The file for the private key; the public key goes beside it with the ending .pub.pem
        file: PathBuf,
    },
}

pub(crate) fn run(command: &Command) -> Result<()> {
    match command {
        Command::Master { file } => make_master(file),
        Command::Jwt { file } => make_jwt(file, &file.with_extension("pub.pem")),
    }
}

/// Writes a new master key to a file that only its owner can read.
pub(crate) fn make_master(file: &Path) -> Result<()> {
    write_secret(file, &format!("{}\n", MasterKey::random().to_hex()))
}

/// Writes a new random password to a file that only its owner can read.
pub(crate) fn make_password(file: &Path) -> Result<()> {
    write_secret(file, &format!("{}\n", MasterKey::random().to_hex()))
}

/// Writes a new Ed25519 key pair: the private key readable by its owner only, the public key by all.
pub(crate) fn make_jwt(private: &Path, public: &Path) -> Result<()> {
    let mut seed = [0u8; 32];
    rand::RngCore::fill_bytes(&mut rand::rng(), &mut seed);
    let key = SigningKey::from_bytes(&seed);
    write_secret(private, key.to_pkcs8_pem(LineEnding::LF).context("encoding the private key")?.as_str())?;
    let pem = key.verifying_key().to_public_key_pem(LineEnding::LF).context("encoding the public key")?;
    std::fs::write(public, pem).with_context(|| format!("writing {}", public.display()))
}

/// Writes a file that must not exist yet, readable by its owner only.
pub(crate) fn write_secret(file: &Path, text: &str) -> Result<()> {
    let mut out = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
        .with_context(|| format!("making {}", file.display()))?;
    out.write_all(text.as_bytes())
        .and_then(|()| out.sync_all())
        .with_context(|| format!("writing {}", file.display()))
}
