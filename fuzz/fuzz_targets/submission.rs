//! A body of arbitrary bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|body: &[u8]| {
    tonghop_api::fuzzing::submission(body);
});
