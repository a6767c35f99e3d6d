//! The data folder: where every file is, who may read it.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// Least free space to start with, in bytes.
const FREE_BYTES: u64 = 512 << 20;

/// The files of one data folder (`.palisade` of a checkout).
pub(crate) struct Layout {
    root: PathBuf,
}

impl Layout {
    /// Makes the folder where it is missing, readable by its owner only beside the database's part.
    pub(crate) fn open(root: &Path) -> Result<Self> {
        std::fs::create_dir_all(root)
            .with_context(|| format!("making the data folder {}", root.display()))?;
        let root =
            root.canonicalize().with_context(|| format!("reading the data folder {}", root.display()))?;
        let layout = Self { root };
        for folder in [layout.keys(), layout.spool(), layout.logs(), layout.run()] {
            std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
            std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o700))
                .with_context(|| format!("closing {} to others", folder.display()))?;
        }
        layout.check_space()?;
        Ok(layout)
    }

    fn check_space(&self) -> Result<()> {
        let stat = rustix::fs::statvfs(&self.root).context("asking for free space")?;
        let free = stat.f_bavail.saturating_mul(stat.f_frsize);
        if free < FREE_BYTES {
            bail!(
                "the disk of {} has {} MiB left and at least {} MiB are needed; free some space or name another folder with --data-dir",
                self.root.display(),
                free >> 20,
                FREE_BYTES >> 20
            );
        }
        Ok(())
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }
    pub(crate) fn keys(&self) -> PathBuf {
        self.root.join("keys")
    }
    pub(crate) fn master_key(&self) -> PathBuf {
        self.keys().join("master.key")
    }
    pub(crate) fn jwt_private(&self) -> PathBuf {
        self.keys().join("jwt.pem")
    }
    pub(crate) fn jwt_public(&self) -> PathBuf {
        self.keys().join("jwt.pub.pem")
    }
    pub(crate) fn postgres_password(&self) -> PathBuf {
        self.keys().join("postgres.password")
    }
    pub(crate) fn admin_password(&self) -> PathBuf {
        self.keys().join("console.password")
    }
    pub(crate) fn postgres(&self) -> PathBuf {
        self.root.join("postgres")
    }
    pub(crate) fn spool(&self) -> PathBuf {
        self.root.join("spool")
    }
    pub(crate) fn logs(&self) -> PathBuf {
        self.root.join("log")
    }
    pub(crate) fn run(&self) -> PathBuf {
        self.root.join("run")
    }
    pub(crate) fn snapshot(&self) -> PathBuf {
        self.run().join("snapshot.json")
    }
    pub(crate) fn pid(&self) -> PathBuf {
        self.run().join("palisade.pid")
    }
    pub(crate) fn config(&self) -> PathBuf {
        self.root.join("palisade.toml")
    }
    pub(crate) fn dev_env(&self) -> PathBuf {
        self.root.join("dev.env")
    }
}
