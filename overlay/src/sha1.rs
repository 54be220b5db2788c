/// SHA-1 (RFC 3174) of some parts, one after the other: names places on the ring, as the draft has it, and guards nothing.
///
/// Written out here in loops, since a crate's unrolled one is several times the code in a browser node; the tests compare
/// the two.
pub(crate) fn sha1(parts: &[&[u8]]) -> [u8; 20] {
    let mut message = parts.concat();
    let bits = message.len() as u64 * 8;
    message.push(0x80);
    while message.len() % 64 != 56 {
        message.push(0);
    }
    message.extend_from_slice(&bits.to_be_bytes());
    let mut state = START;
    for block in message.as_chunks::<64>().0 {
        digest(&mut state, block);
    }
    let mut hash = [0; 20];
    for (bytes, word) in hash.chunks_exact_mut(4).zip(state) {
        bytes.copy_from_slice(&word.to_be_bytes());
    }
    hash
}

fn digest(state: &mut [u32; 5], block: &[u8; 64]) {
    let mut words = [0; 80];
    for (word, bytes) in words.iter_mut().zip(block.as_chunks::<4>().0) {
        *word = u32::from_be_bytes(*bytes);
    }
    for at in 16..80 {
        let mixed = words[at - 3] ^ words[at - 8] ^ words[at - 14] ^ words[at - 16];
        words[at] = mixed.rotate_left(1);
    }
    let [mut a, mut b, mut c, mut d, mut e] = *state;
    for (at, word) in words.into_iter().enumerate() {
        let (mix, constant) = match at / 20 {
            0 => ((b & c) | (!b & d), 0x5a82_7999),
            1 => (b ^ c ^ d, 0x6ed9_eba1),
            2 => ((b & c) | (b & d) | (c & d), 0x8f1b_bcdc),
            _ => (b ^ c ^ d, 0xca62_c1d6_u32),
        };
        let sum = mix.wrapping_add(e).wrapping_add(constant);
        let next = a.rotate_left(5).wrapping_add(sum).wrapping_add(word);
        (a, b, c, d, e) = (next, a, b.rotate_left(30), c, d);
    }
    for (word, added) in state.iter_mut().zip([a, b, c, d, e]) {
        *word = word.wrapping_add(added);
    }
}

const START: [u32; 5] = [
    0x6745_2301,
    0xefcd_ab89,
    0x98ba_dcfe,
    0x1032_5476,
    0xc3d2_e1f0,
];

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use ::sha1::{Digest, Sha1};

    use super::*;

    #[test]
    fn is_the_crate_s_hash_at_every_length() {
        let message: Vec<u8> = (0..300_u32).map(|number| (number * 7) as u8).collect();
        for length in 0..message.len() {
            let (front, back) = message[..length].split_at(length / 3);
            let theirs: [u8; 20] = Sha1::digest(&message[..length]).into();
            assert_eq!(sha1(&[front, back]), theirs, "{length} bytes");
        }
    }
}
