//! What a client sends on a connection, in pieces of arbitrary sizes: the first eight bytes are the sizes.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let (sizes, sent) = input.split_at(input.len().min(8));
    tonghop_api::fuzzing::connection(sent, sizes);
});
