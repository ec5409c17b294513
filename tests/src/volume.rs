//! A small file system of a test's own, to be filled up.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// Set where the volume is mounted already.
const MOUNTED: &str = "TEST_VOLUME";

/// A file system in memory. Unmounted when dropped.
#[derive(Debug)]
pub struct Volume {
    path: PathBuf,
    mounted: Option<TempDir>,
}

impl Volume {
    /// Mounts one of some mebibytes.
    ///
    /// Who may not mount gets none: then this test was run again, to a good end, in a space of its own in which it may,
    /// and there is nothing left to do. `test` is the test's whole name.
    ///
    /// # Panics
    /// When there is no way to mount one, or the other run failed.
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

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Leaves no byte free.
    ///
    /// # Panics
    /// When the ballast cannot be written.
    pub fn fill(&self) {
        let ballast = OpenOptions::new().create(true).append(true).open(self.ballast());
        let mut ballast: File = ballast.expect("the ballast can be made");
        let block = vec![0xA5_u8; 1 << 20];
        let mut size = block.len();
        while size > 0 {
            match ballast.write(&block[..size]) {
                Ok(written) if written > 0 => {}
                _ => size /= 2,
            }
        }
    }

    /// Throws the ballast off.
    ///
    /// # Panics
    /// When it was not there.
    pub fn free(&self) {
        std::fs::remove_file(self.ballast()).expect("the ballast is there");
    }

    fn ballast(&self) -> PathBuf {
        self.path.join("ballast")
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        if self.mounted.is_some() {
            // Lazily: a process of the test may not have ended yet.
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

/// Two user namespaces: in the first this user may mount, in the second it is itself again, as PostgreSQL wants it.
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
        "{test} failed in a mount namespace of its own, or none could be made: run it as root"
    );
}
