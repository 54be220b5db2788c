//! As much of DER (X.690) as the one certificate profile needs: definite, minimal lengths below 64 KiB.

pub(crate) const BOOLEAN: u8 = 0x01;
pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(crate) const UTC_TIME: u8 = 0x17;
pub(crate) const GENERALIZED_TIME: u8 = 0x18;
pub(crate) const SEQUENCE: u8 = 0x30;

/// Reads elements one after the other. `None` stands for "not DER, or not the expected element".
#[derive(Debug, Clone)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next element's tag, contents, and the element as a whole.
    pub(crate) fn element(&mut self) -> Option<(u8, &'a [u8], &'a [u8])> {
        let (header, length) = match *self.rest.get(1..)? {
            [short @ 0..=0x7f, ..] => (2, usize::from(short)),
            [0x81, length @ 0x80..=0xff, ..] => (3, usize::from(length)),
            [0x82, high @ 1..=0xff, low, ..] => (4, usize::from(high) << 8 | usize::from(low)),
            _ => return None,
        };
        let (whole, rest) = self.rest.split_at_checked(header + length)?;
        self.rest = rest;
        Some((whole[0], &whole[header..], whole))
    }

    /// The contents of the next element, which must have this tag.
    pub(crate) fn expect(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (found, contents, _) = self.element()?;
        (found == tag).then_some(contents)
    }

    /// The contents of the next element if it has this tag.
    pub(crate) fn optional(&mut self, tag: u8) -> Option<Option<&'a [u8]>> {
        if self.rest.first() != Some(&tag) {
            return Some(None);
        }
        self.expect(tag).map(Some)
    }

    /// Holds if nothing follows.
    pub(crate) fn finish(self) -> Option<()> {
        self.rest.is_empty().then_some(())
    }
}

/// The digits of an INTEGER that is positive and minimal.
pub(crate) fn unsigned(contents: &[u8]) -> Option<&[u8]> {
    match *contents {
        [0, next, ..] => (next >= 0x80).then(|| &contents[1..]),
        [first, ..] => (first < 0x80).then_some(contents),
        [] => None,
    }
}

/// The contents of a BIT STRING of whole bytes.
pub(crate) fn bits(contents: &[u8]) -> Option<&[u8]> {
    contents.strip_prefix(&[0])
}

/// Milliseconds since 1970 of a UTCTime or a GeneralizedTime, as RFC 5280 §4.1.2.5 narrows them.
pub(crate) fn time(tag: u8, text: &[u8]) -> Option<u64> {
    let (year, rest) = match (tag, text.len()) {
        (UTC_TIME, 13) => {
            let year = number(&text[..2])?;
            (year + if year < 50 { 2000 } else { 1900 }, &text[2..])
        }
        (GENERALIZED_TIME, 15) => (number(&text[..4])?, &text[4..]),
        _ => return None,
    };
    if rest[10] != b'Z' || (tag == GENERALIZED_TIME && year < 2050) || year < 1970 {
        return None;
    }
    let mut parts = [0; 5];
    for (part, digits) in parts.iter_mut().zip(rest.chunks_exact(2)) {
        *part = number(digits)?;
    }
    let [month, day, hour, minute, second] = parts;
    let sane = (1..=12).contains(&month) && day >= 1 && day <= days_in(year, month);
    if !sane || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let days = days_before(year, month) + day - 1;
    Some((((days * 24 + hour) * 60 + minute) * 60 + second) * 1000)
}

fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |sum, digit| {
        digit
            .is_ascii_digit()
            .then(|| sum * 10 + u64::from(digit - b'0'))
    })
}

const fn leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

const fn days_in(year: u64, month: u64) -> u64 {
    match month {
        2 if leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to the first of the month.
fn days_before(year: u64, month: u64) -> u64 {
    let leaps = |year: u64| year / 4 - year / 100 + year / 400;
    let years = (year - 1970) * 365 + leaps(year - 1) - leaps(1969);
    years + (1..month).map(|month| days_in(year, month)).sum::<u64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_minimal() {
        for good in [&[4, 0][..], &[4, 1, 9], &[4, 0]] {
            assert!(Reader::new(good).expect(OCTET_STRING).is_some());
        }
        for bad in [
            &[][..],
            &[4],
            &[4, 1],
            &[4, 0x80, 0, 0],
            &[4, 0x81, 1, 9],
            &[4, 0x82, 0, 1, 9],
            &[4, 0x83, 0, 0, 1, 9],
            &[2, 0],
        ] {
            assert!(Reader::new(bad).expect(OCTET_STRING).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn integers_are_positive_and_minimal() {
        assert_eq!(unsigned(&[0, 0x80]), Some(&[0x80][..]));
        assert_eq!(unsigned(&[0]), Some(&[0][..]));
        for bad in [&[][..], &[0x80], &[0, 0x7f], &[0, 0]] {
            assert_eq!(unsigned(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn time_counts_from_1970() {
        assert_eq!(time(UTC_TIME, b"700101000000Z"), Some(0));
        assert_eq!(time(UTC_TIME, b"261123023400Z"), Some(1_795_401_240_000));
        assert_eq!(time(UTC_TIME, b"000229000000Z"), Some(951_782_400_000));
        assert_eq!(
            time(GENERALIZED_TIME, b"21000301000000Z"),
            Some(4_107_542_400_000)
        );
        for bad in [
            &b"260229000000Z"[..],
            b"261301000000Z",
            b"261100000000Z",
            b"261123240000Z",
            b"261123006000Z",
            b"261123000060Z",
            b"2611230000000",
            b"26112300000 Z",
            b"2611230000Z",
        ] {
            assert_eq!(time(UTC_TIME, bad), None, "{bad:?}");
        }
        assert_eq!(time(GENERALIZED_TIME, b"20261123000000Z"), None);
        assert_eq!(time(GENERALIZED_TIME, b"21000229000000Z"), None);
    }
}
