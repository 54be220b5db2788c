//! Square roots in the field of P-256, to unfold compressed points. Public values only: not constant in time.

type Limbs = [u64; 4];

/// p = 2^256 - 2^224 + 2^192 + 2^96 - 1, lowest limb first. Its lowest limb makes -1/p mod 2^64 equal to 1.
const P: Limbs = [u64::MAX, 0xffff_ffff, 0, 0xffff_ffff_0000_0001];
/// 2^512 mod p: multiplied with a number it yields the number's Montgomery form.
const R2: Limbs = [
    3,
    0xffff_fffb_ffff_ffff,
    0xffff_ffff_ffff_fffe,
    0x4_ffff_fffd,
];
/// 1 in Montgomery form.
const ONE: Limbs = [1, 0xffff_ffff_0000_0000, u64::MAX, 0xffff_fffe];
/// The curve's b in Montgomery form.
const B: Limbs = [
    0xd89c_df62_29c4_bddf,
    0xacf0_05cd_7884_3090,
    0xe5a2_20ab_f721_2ed6,
    0xdc30_061d_0487_4834,
];
/// (p + 1) / 4: the power that is the square root, since p = 3 mod 4.
const ROOT: Limbs = [0, 0x4000_0000, 0x4000_0000_0000_0000, 0x3fff_ffff_c000_0000];

/// The y of the curve's point with this x whose parity is `odd`; `None` if there is none.
pub(crate) fn ordinate(x: &[u8; 32], odd: bool) -> Option<[u8; 32]> {
    let x = read(x);
    if subtract_raw(&x, &P).1 == 0 {
        return None;
    }
    let x = multiply(&x, &R2);
    let cube = multiply(&multiply(&x, &x), &x);
    let triple = add(&add(&x, &x), &x);
    let square = add(&subtract(&cube, &triple), &B);
    let root = power(&square, &ROOT);
    if multiply(&root, &root) != square {
        return None;
    }
    let root = multiply(&root, &[1, 0, 0, 0]);
    let y = if (root[0] & 1 == 1) == odd {
        root
    } else {
        subtract(&[0; 4], &root)
    };
    Some(write(&y))
}

fn power(base: &Limbs, exponent: &Limbs) -> Limbs {
    let mut result = ONE;
    for bit in (0..256).rev() {
        result = multiply(&result, &result);
        if exponent[bit / 64] >> (bit % 64) & 1 == 1 {
            result = multiply(&result, base);
        }
    }
    result
}

/// a * b / 2^256 mod p (Montgomery, operands scanned one limb at a time).
fn multiply(a: &Limbs, b: &Limbs) -> Limbs {
    let mut sum = [0_u64; 6];
    for digit in a {
        add_product(&mut sum, *digit, b);
        let quotient = sum[0];
        add_product(&mut sum, quotient, &P);
        sum = [sum[1], sum[2], sum[3], sum[4], sum[5], 0];
    }
    reduce([sum[0], sum[1], sum[2], sum[3]], sum[4])
}

fn add_product(sum: &mut [u64; 6], digit: u64, factor: &Limbs) {
    let mut carry = 0_u128;
    for (place, limb) in sum.iter_mut().enumerate() {
        let product = factor
            .get(place)
            .map_or(0, |limb| u128::from(digit) * u128::from(*limb));
        let total = product + u128::from(*limb) + carry;
        *limb = total as u64;
        carry = total >> 64;
    }
}

fn add(a: &Limbs, b: &Limbs) -> Limbs {
    let mut sum = [0; 4];
    let mut carry = 0_u128;
    for (limb, (a, b)) in sum.iter_mut().zip(a.iter().zip(b)) {
        let total = u128::from(*a) + u128::from(*b) + carry;
        *limb = total as u64;
        carry = total >> 64;
    }
    reduce(sum, carry as u64)
}

fn subtract(a: &Limbs, b: &Limbs) -> Limbs {
    let (difference, borrow) = subtract_raw(a, b);
    if borrow == 0 {
        return difference;
    }
    let mut wrapped = [0; 4];
    let mut carry = 0_u128;
    for (limb, (d, p)) in wrapped.iter_mut().zip(difference.iter().zip(&P)) {
        let total = u128::from(*d) + u128::from(*p) + carry;
        *limb = total as u64;
        carry = total >> 64;
    }
    wrapped
}

/// Brings a number below 2p, whose part above 2^256 is `high`, below p.
fn reduce(number: Limbs, high: u64) -> Limbs {
    let (difference, borrow) = subtract_raw(&number, &P);
    if high >= borrow { difference } else { number }
}

fn subtract_raw(a: &Limbs, b: &Limbs) -> (Limbs, u64) {
    let mut difference = [0; 4];
    let mut borrow = 0_u64;
    for (limb, (a, b)) in difference.iter_mut().zip(a.iter().zip(b)) {
        let (first, under) = a.overflowing_sub(*b);
        let (second, again) = first.overflowing_sub(borrow);
        *limb = second;
        borrow = u64::from(under | again);
    }
    (difference, borrow)
}

fn read(bytes: &[u8; 32]) -> Limbs {
    let mut limbs = [0; 4];
    for (limb, chunk) in limbs.iter_mut().rev().zip(bytes.chunks_exact(8)) {
        *limb = chunk
            .iter()
            .fold(0, |limb, byte| limb << 8 | u64::from(*byte));
    }
    limbs
}

fn write(limbs: &Limbs) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (chunk, limb) in bytes.chunks_exact_mut(8).zip(limbs.iter().rev()) {
        chunk.copy_from_slice(&limb.to_be_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The generator of P-256 (SEC 2 §2.4.2).
    const G: [[u8; 32]; 2] = [
        [
            0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c, 0x42, 0x47, 0xf8, 0xbc, 0xe6, 0xe5, 0x63, 0xa4,
            0x40, 0xf2, 0x77, 0x03, 0x7d, 0x81, 0x2d, 0xeb, 0x33, 0xa0, 0xf4, 0xa1, 0x39, 0x45,
            0xd8, 0x98, 0xc2, 0x96,
        ],
        [
            0x4f, 0xe3, 0x42, 0xe2, 0xfe, 0x1a, 0x7f, 0x9b, 0x8e, 0xe7, 0xeb, 0x4a, 0x7c, 0x0f,
            0x9e, 0x16, 0x2b, 0xce, 0x33, 0x57, 0x6b, 0x31, 0x5e, 0xce, 0xcb, 0xb6, 0x40, 0x68,
            0x37, 0xbf, 0x51, 0xf5,
        ],
    ];

    #[test]
    fn generator_unfolds() {
        assert_eq!(ordinate(&G[0], true), Some(G[1]));
        let even = ordinate(&G[0], false).unwrap();
        assert_eq!(even[31] & 1, 0);
        assert_eq!(add(&read(&even), &read(&G[1])), [0; 4]);
    }

    #[test]
    fn no_point_no_ordinate() {
        assert_eq!(ordinate(&[0xff; 32], true), None);
        assert_eq!(ordinate(&write(&P), true), None);
        let without = (0..20_u8).filter(|x| {
            let mut bytes = [0; 32];
            bytes[31] = *x;
            ordinate(&bytes, true).is_none()
        });
        assert!((5..15).contains(&without.count()));
    }
}
