//! Whatever is in a file, there is a catalogue or there are faults.

use proptest::prelude::*;

use crate::folder::{FILES, Folder, data};

fn says_something(folder: &Folder) {
    if let Err(faults) = folder.load() {
        assert!(!faults.faults().is_empty());
        assert_eq!(faults.to_string().lines().count(), faults.faults().len() + 1);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_do_not_panic(file in 0..4usize, bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        says_something(&Folder::small().with(FILES[file], bytes));
    }

    #[test]
    fn arbitrary_text_below_a_true_header_does_not_panic(
        file in 0..3usize,
        rows in "([A-Z0-9.\\-,;\"\r\n é€]{0,9},){0,40}",
    ) {
        let text = std::fs::read_to_string(data().join(FILES[file])).unwrap();
        let header = text.lines().next().unwrap();
        says_something(&Folder::small().with(FILES[file], format!("{header}\n{rows}")));
    }

    #[test]
    fn a_damaged_true_file_does_not_panic(
        file in 0..4usize,
        at in any::<prop::sample::Index>(),
        length in 0..40usize,
        put in "[\\PC\n\"\\[\\]={}0-9,-]{0,20}",
    ) {
        let text = std::fs::read_to_string(data().join(FILES[file])).unwrap();
        let mut bytes = text.into_bytes();
        let start = at.index(bytes.len());
        let end = (start + length).min(bytes.len());
        bytes.splice(start..end, put.into_bytes());
        says_something(&Folder::like_built_in().with(FILES[file], bytes));
    }
}
