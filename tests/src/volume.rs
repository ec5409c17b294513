//! A small file system for tests of full disks.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// Names the folder where the volume is mounted already.
const MOUNTED: &str = "TEST_VOLUME";

/// A file system in memory. Unmounted when dropped.
#[derive(Debug)]
pub struct Volume {
    path: PathBuf,
    mounted: Option<TempDir>,
}

impl Volume {
    /// Mounts a file system of this size.
    ///
    /// Without the right to mount, it runs this test again in a mount namespace where it has that right, and returns
    /// none when that run has passed: nothing is left to do then. `test` is the whole name of the test.
    ///
    /// # Panics
    /// When no file system can be mounted, or the other run failed.
    pub fn mount(mebibytes: u32, test: &str) -> Option<Self> {
        if let Some(path) = std::env::var_os(MOUNTED) {
            let path = PathBuf::from(path);
            return Some(Self { path, mounted: None });
        }
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let user = std::fs::metadata("/proc/self").expect("there is a /proc");
        if user.uid() != 0 {
            run_again(mebibytes, test, folder.path(), user.uid(), user.gid());
            return None;
        }
        let mounted = mount_command(mebibytes, folder.path()).status();
        assert!(mounted.expect("mount runs").success(), "a tmpfs can be mounted");
        Some(Self {
            path: folder.path().to_owned(),
            mounted: Some(folder),
        })
    }

    /// The folder where it is mounted.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Fills the volume to the last byte.
    ///
    /// # Panics
    /// When the filling cannot be written.
    pub fn fill(&self) {
        let filling = OpenOptions::new().create(true).append(true).open(self.filling());
        let mut filling: File = filling.expect("the filling can be made");
        let block = vec![0xA5_u8; 1 << 20];
        let mut size = block.len();
        while size > 0 {
            match filling.write(&block[..size]) {
                Ok(written) if written > 0 => {}
                _ => size /= 2,
            }
        }
    }

    /// Frees what `fill` took.
    ///
    /// # Panics
    /// When the volume was not filled.
    pub fn free(&self) {
        std::fs::remove_file(self.filling()).expect("the filling is there");
    }

    fn filling(&self) -> PathBuf {
        self.path.join("filling")
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        if self.mounted.is_some() {
            // Lazily, because a process of the test may still run.
            Command::new("umount").arg("--lazy").arg(&self.path).status().ok();
        }
    }
}

fn mount_command(mebibytes: u32, at: &Path) -> Command {
    let mut mount = Command::new("mount");
    mount.args([
        "-t",
        "tmpfs",
        "-o",
        &format!("size={mebibytes}m,mode=1777"),
        "tmpfs",
    ]);
    mount.arg(at);
    mount
}

/// Uses two user namespaces: in the first the user may mount; in the second it has its own id again, because PostgreSQL
/// does not run as root.
fn run_again(mebibytes: u32, test: &str, at: &Path, user: u32, group: u32) {
    let script = "mount -t tmpfs -o \"size=$1m,mode=1777\" tmpfs \"$2\" && \
        exec unshare --user --map-user=\"$3\" --map-group=\"$4\" -- \"$5\" --exact \"$6\" --nocapture";
    let this = std::env::current_exe().expect("a test knows where it is");
    let run = Command::new("unshare")
        .args([
            "--user",
            "--map-root-user",
            "--mount",
            "--",
            "sh",
            "-c",
            script,
            "sh",
        ])
        .arg(mebibytes.to_string())
        .arg(at)
        .args([user.to_string(), group.to_string()])
        .arg(this)
        .arg(test)
        .env(MOUNTED, at)
        .status();
    assert!(
        run.expect("unshare runs").success(),
        "{test} failed in its own mount namespace, or none could be created: run it as root"
    );
}
