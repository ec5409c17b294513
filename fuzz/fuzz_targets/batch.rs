//! A batch of arbitrary bytes in chunks of arbitrary sizes: the first eight bytes are the sizes.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let (sizes, body) = input.split_at(input.len().min(8));
    for line in tonghop_api::fuzzing::batch(body, sizes) {
        tonghop_api::fuzzing::submission(&line);
    }
});
