// SPDX-License-Identifier: GPL-2.0

//! The filter that a reader may set on its queue.

use super::record::{
    self,
    Header, //
};

/// Most rules in a filter.
pub(crate) const MAX_RULES: usize = 16;

/// Words of a rule, `struct watch_notification_type_filter`: type, `info_filter`, `info_mask` and
/// eight of `subtype_filter`.
pub(crate) const RULE_WORDS: usize = 11;

/// Why a filter is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Error {
    /// There must be from 1 to [`MAX_RULES`] rules.
    Count,

    /// A reserved word is not 0.
    Reserved,

    /// `info_filter` asks for bits outside `info_mask`, so that nothing could match.
    Info,

    /// `info_mask` includes the length.
    Length,
}

/// Reads `nr_filters` and `__reserved` of `struct watch_notification_filter`.
///
/// Returns how many rules follow.
pub(crate) fn count(nr_filters: u32, reserved: u32) -> Result<usize, Error> {
    if reserved != 0 {
        return Err(Error::Reserved);
    }

    match nr_filters as usize {
        count @ 1..=MAX_RULES => Ok(count),
        _ => Err(Error::Count),
    }
}

/// What lets a record pass: its type, its subtype and bits of its `info`.
#[derive(Clone, Copy)]
struct Rule {
    kind: u32,
    info_filter: u32,
    info_mask: u32,
    subtypes: [u32; 8],
}

impl Rule {
    const NOTHING: Self = Self {
        kind: 0,
        info_filter: 0,
        info_mask: 0,
        subtypes: [0; 8],
    };

    fn new(words: &[u32; RULE_WORDS]) -> Result<Self, Error> {
        let [kind, info_filter, info_mask, subtypes @ ..] = *words;

        if info_filter & !info_mask != 0 {
            return Err(Error::Info);
        }
        if info_mask & record::INFO_LENGTH != 0 {
            return Err(Error::Length);
        }

        Ok(Self {
            kind,
            info_filter,
            info_mask,
            subtypes,
        })
    }

    fn matches(&self, header: Header) -> bool {
        let subtypes = self.subtypes.get(usize::from(header.subtype / 32));

        header.kind == self.kind
            && header.info & self.info_mask == self.info_filter
            && subtypes.is_some_and(|word| word & 1 << (header.subtype % 32) != 0)
    }
}

/// A valid filter: a record passes if one of the rules matches it.
///
/// META records always pass.
pub(crate) struct Filter {
    rules: [Rule; MAX_RULES],
    used: usize,
}

impl Filter {
    /// Creates a filter without rules, which lets only META records pass.
    pub(crate) const fn new() -> Self {
        Self {
            rules: [Rule::NOTHING; MAX_RULES],
            used: 0,
        }
    }

    /// Adds a rule if it is valid. A rule for a type from `nr_types` on is left out: no record has
    /// such a type.
    pub(crate) fn add(&mut self, words: &[u32; RULE_WORDS], nr_types: u32) -> Result<(), Error> {
        let rule = Rule::new(words)?;

        if rule.kind < nr_types {
            *self.rules.get_mut(self.used).ok_or(Error::Count)? = rule;
            self.used = self.used.wrapping_add(1);
        }
        Ok(())
    }

    /// Returns whether a record with this header passes.
    pub(crate) fn matches(&self, header: Header) -> bool {
        header.kind == record::META || self.rules().any(|rule| rule.matches(header))
    }

    /// Returns a mask of the types of which some record may pass, see [`record::type_bit`].
    pub(crate) fn accept_types(&self) -> u32 {
        self.rules()
            .map(|rule| record::type_bit(rule.kind))
            .fold(record::type_bit(record::META), |types, bit| types | bit)
    }

    fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter().take(self.used)
    }
}

#[cfg(any(test, CONFIG_WATCH_QUEUE_DEV_KUNIT_TEST))]
#[cfg_attr(
    CONFIG_WATCH_QUEUE_DEV_KUNIT_TEST,
    kernel::macros::kunit_tests(watch_queue_filter)
)]
mod tests {
    use super::*;
    use core::array;

    const KEY: u32 = 1;
    const NR_TYPES: u32 = 5;
    const NO_RULE: [u32; RULE_WORDS] = [0; RULE_WORDS];

    fn filter(rules: &[[u32; RULE_WORDS]]) -> Result<Filter, Error> {
        let mut filter = Filter::new();

        rules
            .iter()
            .try_for_each(|rule| filter.add(rule, NR_TYPES))?;
        Ok(filter)
    }

    /// Returns a rule for all subtypes.
    fn rule(kind: u32, info_filter: u32, info_mask: u32) -> [u32; RULE_WORDS] {
        array::from_fn(|word| match word {
            0 => kind,
            1 => info_filter,
            2 => info_mask,
            _ => u32::MAX,
        })
    }

    /// Returns a rule for one subtype of keys.
    fn one_subtype(subtype: u8) -> [u32; RULE_WORDS] {
        array::from_fn(|word| match word {
            0 => KEY,
            _ if word == 3 + usize::from(subtype / 32) => 1 << (subtype % 32),
            _ => 0,
        })
    }

    fn header(kind: u32, subtype: u8, info: u32) -> Header {
        Header {
            kind,
            subtype,
            info,
        }
    }

    #[test]
    fn count_is_checked() {
        assert_eq!(count(0, 0), Err(Error::Count));
        assert_eq!(count(1, 0), Ok(1));
        assert_eq!(count(16, 0), Ok(16));
        assert_eq!(count(17, 0), Err(Error::Count));
        assert_eq!(count(u32::MAX, 0), Err(Error::Count));
        assert_eq!(count(1, 1), Err(Error::Reserved));
        assert_eq!(count(1, 1 << 31), Err(Error::Reserved));
    }

    #[test]
    fn rules_are_counted() {
        assert!(filter(&[NO_RULE; 1]).is_ok());
        assert!(filter(&[NO_RULE; 16]).is_ok());
        assert_eq!(filter(&[NO_RULE; 17]).err(), Some(Error::Count));
    }

    #[test]
    fn info_is_checked() {
        for bit in 0..32 {
            let info = 1 << bit;
            let outside = filter(&[rule(KEY, info, !info)]);
            let inside = filter(&[rule(KEY, info, info)]);

            assert_eq!(outside.err(), Some(Error::Info));
            if bit < 7 {
                assert_eq!(inside.err(), Some(Error::Length));
            } else {
                assert!(inside.is_ok());
            }
        }
    }

    #[test]
    fn rules_for_unknown_types_are_checked_too() {
        assert_eq!(filter(&[rule(u32::MAX, 0, 1)]).err(), Some(Error::Length));
        assert_eq!(
            filter(&[rule(KEY, 0, 0), rule(99, 1 << 16, 0)]).err(),
            Some(Error::Info)
        );
    }

    #[test]
    fn each_subtype_matches_itself_only() -> Result<(), Error> {
        for wanted in 0..=u8::MAX {
            let filter = filter(&[one_subtype(wanted)])?;

            for subtype in 0..=u8::MAX {
                assert_eq!(filter.matches(header(KEY, subtype, 8)), subtype == wanted);
            }
        }
        Ok(())
    }

    #[test]
    fn info_matches_under_the_mask() -> Result<(), Error> {
        let filter = filter(&[rule(KEY, 0x0001_0200, 0x0003_ff00)])?;

        assert!(filter.matches(header(KEY, 0, 0x0001_0208)));
        assert!(filter.matches(header(KEY, 0, 0xfffd_027f)));
        assert!(!filter.matches(header(KEY, 0, 0x0003_0208)));
        assert!(!filter.matches(header(KEY, 0, 0x0000_0208)));
        assert!(!filter.matches(header(KEY, 0, 0x0001_0308)));
        Ok(())
    }

    #[test]
    fn any_of_the_rules_may_match() -> Result<(), Error> {
        let mut rules = [NO_RULE; MAX_RULES];

        rules
            .iter_mut()
            .zip(0..)
            .for_each(|(to, subtype)| *to = one_subtype(subtype * 16));

        let filter = filter(&rules)?;

        for subtype in 0..=u8::MAX {
            assert_eq!(filter.matches(header(KEY, subtype, 8)), subtype % 16 == 0);
        }
        Ok(())
    }

    #[test]
    fn meta_always_passes() -> Result<(), Error> {
        let filter = filter(&[one_subtype(0)])?;

        for subtype in 0..=u8::MAX {
            assert!(filter.matches(header(record::META, subtype, 8)));
        }
        Ok(())
    }

    #[test]
    fn unknown_types_only_reject_everything() -> Result<(), Error> {
        let unknown = rule(NR_TYPES, 0, 0);
        let filter = filter(&[unknown, rule(u32::MAX, 0, 0)])?;

        assert!(!filter.matches(header(KEY, 0, 8)));
        assert!(!filter.matches(header(NR_TYPES, 0, 8)));
        assert!(!filter.matches(header(0x00ff_ffff, 0, 8)));
        assert_eq!(filter.accept_types(), 1);
        Ok(())
    }

    #[test]
    fn accepted_types_are_those_of_the_rules() {
        let meta = filter(&[rule(record::META, 0, 0)]);
        let key = filter(&[rule(99, 0, 0), one_subtype(7)]);

        assert_eq!(meta.ok().map(|filter| filter.accept_types()), Some(1));
        assert_eq!(key.ok().map(|filter| filter.accept_types()), Some(3));
    }
}
