//! The file beside the database in which the heads of the audit trail's chain are noted, a line each: who can rewrite
//! the database shall not be able to rewrite this unnoticed. Keep it, or a copy of it, where others cannot write.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use tonghop_domain::SealHead;

/// The file of noted heads.
#[derive(Clone, Debug)]
pub struct SealFile(PathBuf);

impl SealFile {
    /// At a path; the file is made when the first head is noted.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Adds a head and waits until the disk has it. Only the file's owner may read it.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn note(&self, head: &SealHead) -> std::io::Result<()> {
        let mut options = OpenOptions::new();
        options.create(true).read(true).append(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&self.0)?;
        let line = format!("{}{} {}\n", end_of_line(&mut file)?, head.number, head.digest);
        file.write_all(line.as_bytes())?;
        file.sync_data()
    }

    /// The heads that were noted. A line that was cut off, as by a machine that stopped, says nothing.
    ///
    /// # Errors
    /// The file is there and cannot be read.
    pub fn heads(&self) -> std::io::Result<Vec<SealHead>> {
        let text = match std::fs::read_to_string(&self.0) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            read => read?,
        };
        Ok(text.lines().filter_map(head).collect())
    }
}

/// What ends a line that was cut off.
fn end_of_line(file: &mut File) -> std::io::Result<&'static str> {
    if file.seek(SeekFrom::End(0))? == 0 {
        return Ok("");
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(if last == *b"\n" { "" } else { "\n" })
}

fn head(line: &str) -> Option<SealHead> {
    let (number, digest) = line.split_once(' ')?;
    let is_digest = digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
    Some(SealHead {
        number: number.parse().ok()?,
        digest: is_digest.then(|| digest.to_owned())?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_noted_after_each_other_and_a_line_that_was_cut_off_says_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = SealFile::at(folder.path().join("heads"));
        assert_eq!(file.heads().unwrap(), []);
        let of = |number: i64| SealHead {
            number,
            digest: format!("{number:064x}"),
        };
        file.note(&of(1)).unwrap();
        let mut cut = OpenOptions::new().append(true).open(file.path()).unwrap();
        cut.write_all(b"2 00").unwrap();
        file.note(&of(3)).unwrap();
        assert_eq!(file.heads().unwrap(), [of(1), of(3)]);
    }
}
