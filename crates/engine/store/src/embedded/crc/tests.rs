//! Known checksums.

use super::crc32c;

#[test]
fn the_catalogue_agrees() {
    // The check value of the catalogue of CRC algorithms, and two of RFC 3720, B.4.
    assert_eq!(crc32c(0, b"123456789"), 0xe306_9283);
    assert_eq!(crc32c(0, &[0; 32]), 0x8a91_36aa);
    assert_eq!(crc32c(0, &[0xff; 32]), 0x62a8_ab43);
}

#[test]
fn parts_make_the_whole() {
    let bytes: Vec<u8> = (0..=255).collect();
    for cut in [0, 1, 7, 8, 9, 100, 256] {
        let (head, tail) = bytes.split_at(cut);
        assert_eq!(crc32c(crc32c(0, head), tail), crc32c(0, &bytes), "cut at {cut}");
    }
}
