//! The file outside the database that keeps the heads of the audit trail's chain, one per line. With it,
//! verification detects that somebody rewrote the chain in the database. Keep the file, or a copy of it, where others cannot write.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use tonghop_domain::SealHead;

/// The file of heads.
#[derive(Clone, Debug)]
pub struct SealFile(PathBuf);

impl SealFile {
    /// A file at a path; it is created with the first head.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Appends a head and waits until it is on the disk. Only the owner can read the file.
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

    /// The heads in the file. Ignores an incomplete line, such as a power failure leaves.
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

/// The rest of an incomplete last line.
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
    let is_of_base64url = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    let is_digest = digest.len() == 43 && digest.bytes().all(is_of_base64url);
    Some(SealHead {
        number: number.parse().ok()?,
        digest: is_digest.then(|| digest.to_owned())?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_appended_and_incomplete_lines_ignored() {
        let folder = tempfile::tempdir().unwrap();
        let file = SealFile::at(folder.path().join("heads"));
        assert_eq!(file.heads().unwrap(), []);
        let of = |number: i64| SealHead {
            number,
            digest: format!("{number:0>43}"),
        };
        file.note(&of(1)).unwrap();
        let mut cut = OpenOptions::new().append(true).open(file.path()).unwrap();
        cut.write_all(b"2 00").unwrap();
        file.note(&of(3)).unwrap();
        assert_eq!(file.heads().unwrap(), [of(1), of(3)]);
    }
}
