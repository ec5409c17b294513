//! A batch of any bytes, in chunks of any sizes: each of the first eight bytes is a chunk's size.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let (sizes, body) = input.split_at(input.len().min(8));
    for line in tonghop_api::fuzzing::batch(body, sizes) {
        tonghop_api::fuzzing::submission(&line);
    }
});
