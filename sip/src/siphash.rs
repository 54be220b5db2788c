//! SipHash-2-4, the keyed hash for short messages by Aumasson and Bernstein.

/// Hashes the parts, one after the other, under a key.
pub(crate) fn hash(key: &[u8; 16], parts: &[&[u8]]) -> u64 {
    let (k0, k1) = key.split_at(8);
    let word = |half: &[u8]| {
        half.iter()
            .rev()
            .fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte))
    };
    let (k0, k1) = (word(k0), word(k1));
    let mut state = [
        k0 ^ 0x736f_6d65_7073_6575,
        k1 ^ 0x646f_7261_6e64_6f6d,
        k0 ^ 0x6c79_6765_6e65_7261,
        k1 ^ 0x7465_6462_7974_6573,
    ];
    let (mut block, mut count) = (0_u64, 0_u64);
    for byte in parts.iter().flat_map(|part| part.iter()) {
        block |= u64::from(*byte) << (8 * (count % 8));
        count += 1;
        if count.is_multiple_of(8) {
            absorb(&mut state, block);
            block = 0;
        }
    }
    absorb(&mut state, block | (count & 0xff) << 56);
    state[2] ^= 0xff;
    for _ in 0..4 {
        round(&mut state);
    }
    state[0] ^ state[1] ^ state[2] ^ state[3]
}

/// Compares in a time that says nothing about the place of the difference.
pub(crate) fn same(one: &[u8], other: &[u8]) -> bool {
    let difference = one.iter().zip(other).fold(0, |all, (a, b)| all | (a ^ b));
    one.len() == other.len() && difference == 0
}

fn absorb(state: &mut [u64; 4], block: u64) {
    state[3] ^= block;
    round(state);
    round(state);
    state[0] ^= block;
}

fn round([a, b, c, d]: &mut [u64; 4]) {
    *a = a.wrapping_add(*b);
    *b = b.rotate_left(13) ^ *a;
    *a = a.rotate_left(32);
    *c = c.wrapping_add(*d);
    *d = d.rotate_left(16) ^ *c;
    *a = a.wrapping_add(*d);
    *d = d.rotate_left(21) ^ *a;
    *c = c.wrapping_add(*b);
    *b = b.rotate_left(17) ^ *c;
    *c = c.rotate_left(32);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of the reference implementation, for messages 00 01 02 .. of 0, 1, 8, 15 and 63 bytes.
    #[test]
    fn reference_vectors() {
        let key = core::array::from_fn(|at| at as u8);
        let message: [u8; 64] = core::array::from_fn(|at| at as u8);
        for (length, expected) in [
            (0, 0x726f_db47_dd0e_0e31),
            (1, 0x74f8_39c5_93dc_67fd),
            (8, 0x93f5_f579_9a93_2462),
            (15, 0xa129_ca61_49be_45e5),
            (63, 0x958a_324c_eb06_4572),
        ] {
            assert_eq!(hash(&key, &[&message[..length]]), expected, "{length}");
            let (left, right) = message[..length].split_at(length / 2);
            assert_eq!(hash(&key, &[left, right]), expected);
        }
    }
}
