//! Any content of a file gives a catalogue or errors, never a panic.

use proptest::prelude::*;

use crate::folder::{FILES, Folder, data};

fn assert_catalogue_or_errors(folder: &Folder) {
    if let Err(errors) = folder.load() {
        assert!(!errors.errors().is_empty());
        assert_eq!(errors.to_string().lines().count(), errors.errors().len() + 1);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_do_not_panic(file in 0..4usize, bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        assert_catalogue_or_errors(&Folder::small().with(FILES[file], bytes));
    }

    #[test]
    fn arbitrary_text_below_a_valid_header_does_not_panic(
        file in 0..3usize,
        rows in "([A-Z0-9.\\-,;\"\r\n é€]{0,9},){0,40}",
    ) {
        let text = std::fs::read_to_string(data().join(FILES[file])).unwrap();
        let header = text.lines().next().unwrap();
        assert_catalogue_or_errors(&Folder::small().with(FILES[file], format!("{header}\n{rows}")));
    }

    #[test]
    fn a_damaged_file_does_not_panic(
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
        assert_catalogue_or_errors(&Folder::like_built_in().with(FILES[file], bytes));
    }
}
