//! Sets of processors, as the kernel writes them.

/// The first processor of a list such as `0-3,8` that is not in a mask such as `ffffffff,0000000f`, whose last word has the first 32;
/// `None`: all are. What cannot be understood has none of them.
/// <https://elixir.bootlin.com/linux/v6.12/source/lib/vsprintf.c#L1200>
pub(super) fn first_missing(list: &str, mask: &str) -> Option<u32> {
    let words: Option<Vec<u32>> = mask
        .trim()
        .rsplit(',')
        .map(|word| u32::from_str_radix(word, 16).ok())
        .collect();
    let words = words.unwrap_or_default();
    let is_in = |cpu: u32| {
        let word = words.get(cpu as usize / 32);
        word.is_some_and(|word| word >> (cpu % 32) & 1 == 1)
    };
    list.trim().split(',').find_map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        match (first.parse::<u32>(), last.parse::<u32>()) {
            (Ok(first), Ok(last)) => (first..=last).find(|cpu| !is_in(*cpu)),
            _ => Some(0),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that every processor of a list is looked for in its word of a mask, and that nothing which cannot be read passes for a
    /// whole mask.
    #[test]
    fn processors_outside_of_a_mask() {
        for (list, mask, missing) in [
            ("0\n", "1\n", None),
            ("0-3", "f", None),
            ("0-3", "ff", None),
            ("0-3", "b", Some(2)),
            ("0-1,3", "b", None),
            ("0-39", "ff,ffffffff", None),
            ("0-39", "7f,ffffffff", Some(39)),
            ("0-39", "ff,fffffffe", Some(0)),
            ("0-39", "ffffffff", Some(32)),
            ("0", "", Some(0)),
            ("0", "x", Some(0)),
            ("", "f", Some(0)),
        ] {
            assert_eq!(first_missing(list, mask), missing, "{list} {mask}");
        }
    }
}
