//! Bisection of a claim's turn (its change of verdict between two kernels) among releases without a capture. Pure: it chooses
//! the kernel to ask next.

use crate::claims::timeline::Answer;

/// The state of one release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ReleaseState {
    /// Nobody has asked.
    Unknown,
    /// Its expression is true there, or false.
    Holds(bool),
    /// A release that cannot be asked, or whose answer is neither true nor false.
    Useless,
}

/// A search for the two neighbours between which a claim turned.
#[derive(Clone, Debug)]
pub struct Bisection {
    states: Vec<ReleaseState>,
    before: usize,
    after: usize,
}

impl Bisection {
    /// A search among `between` releases, with the first answer on one before them and the other one on one after them. The
    /// indexes of the search count these two, too: 0 is the one before.
    pub fn new(between: usize, holds_before: bool) -> Self {
        let mut states = vec![ReleaseState::Unknown; between + 2];
        states[0] = ReleaseState::Holds(holds_before);
        states[between + 1] = ReleaseState::Holds(!holds_before);
        Self {
            states,
            before: 0,
            after: between + 1,
        }
    }

    /// The releases between the bounds that have not been asked yet.
    fn untested_releases(&self) -> Vec<usize> {
        (self.before + 1..self.after)
            .filter(|index| self.states[*index] == ReleaseState::Unknown)
            .collect()
    }

    /// The release to ask next: its answer halves those that are left. `None`: it cannot be narrowed down further.
    pub fn next_release(&self) -> Option<usize> {
        let unknown = self.untested_releases();
        unknown.get(unknown.len() / 2).copied()
    }

    /// The most releases that still have to be asked, if each has an answer.
    pub fn remaining_steps(&self) -> u32 {
        usize::BITS - self.untested_releases().len().leading_zeros()
    }

    /// Take an answer; `None`: the release could not be captured.
    pub fn record_answer(&mut self, index: usize, answer: Option<Answer>) {
        let holds = match answer {
            Some(Answer::True) => true,
            Some(Answer::False) => false,
            Some(Answer::Gap(_)) | None => {
                self.states[index] = ReleaseState::Useless;
                return;
            }
        };
        self.states[index] = ReleaseState::Holds(holds);
        match self.states[self.before] == self.states[index] {
            true => self.before = index,
            false => self.after = index,
        }
    }

    /// The last release that is known to be before the turn, and the first one after it.
    pub fn bounds(&self) -> (usize, usize) {
        (self.before, self.after)
    }
}

/// A version of the upstream kernel: series and patch release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReleaseVersion {
    /// 7 of `7.1.3`.
    pub major: u64,
    /// 1 of `7.1.3`.
    pub minor: u64,
    /// 3 of `7.1.3`; 0 of `7.1`.
    pub patch: u64,
}

impl ReleaseVersion {
    /// Read `7.1.3`, or `7.1`; a package's version (`7.1.3-1~bpo13+1`) or a release up to the first other character.
    pub fn parse(text: &str) -> Option<Self> {
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.');
        let mut numbers = text[..end.unwrap_or(text.len())].split('.');
        let mut next = || numbers.next().map(str::parse);
        let (major, minor) = (next()?.ok()?, next()?.ok()?);
        let patch = next().unwrap_or(Ok(0)).ok()?;
        Some(Self {
            major,
            minor,
            patch,
        })
    }

    fn series(self) -> String {
        format!("{}.{}", self.major, self.minor)
    }
}

impl std::fmt::Display for ReleaseVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// The releases between two that are not served: those that have to exist, by their numbers, and those that may.
pub fn unserved_releases(before: ReleaseVersion, after: ReleaseVersion) -> Vec<String> {
    let series = |major: u64| move |minor: u64| format!("{major}.{minor}");
    let patch = |of: ReleaseVersion| {
        move |patch: u64| match patch {
            0 => of.series(),
            patch => ReleaseVersion { patch, ..of }.to_string(),
        }
    };
    if before.series() == after.series() {
        return format_range(before.patch + 1, after.patch, patch(after))
            .into_iter()
            .collect();
    }
    let mut found = vec![format!("of {} all after {before}", before.series())];
    match before.major == after.major {
        true => found.extend(format_range(
            before.minor + 1,
            after.minor,
            series(after.major),
        )),
        false => {
            let (major, last) = (before.major, before.series());
            found.push(format!("of {major} all series after {last}"));
            found.extend(format_range(0, after.minor, series(after.major)));
        }
    }
    found.extend(format_range(0, after.patch, patch(after)));
    found
}

/// All numbers from one up to another, which does not belong to them, in words.
fn format_range(from: u64, to: u64, name: impl Fn(u64) -> String) -> Option<String> {
    match to.checked_sub(from)? {
        0 => None,
        1 => Some(name(from)),
        _ => Some(format!("{} to {}", name(from), name(to - 1))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use qed_evidence::claim::Verdict;

    fn version(text: &str) -> ReleaseVersion {
        ReleaseVersion::parse(text).unwrap()
    }

    /// Check that versions are read from whatever follows them.
    #[test]
    fn versions() {
        assert_eq!(version("7.1.3-1~bpo13+1").to_string(), "7.1.3");
        assert_eq!(version("7.3").to_string(), "7.3.0");
        assert_eq!(
            version("6.12.118+deb13-cloud-amd64").to_string(),
            "6.12.118"
        );
        assert!(version("6.12.9") < version("6.12.100"));
        for bad in ["", "7", "x.1", "7.", "7..1", "7.1.x"] {
            assert!(ReleaseVersion::parse(bad).is_none(), "{bad}");
        }
    }

    /// Check the releases that are said to be not served.
    #[test]
    fn gaps() {
        let between = |before, after| unserved_releases(version(before), version(after)).join("; ");
        assert_eq!(between("7.1.3", "7.1.4"), "");
        assert_eq!(between("7.1.3", "7.1.5"), "7.1.4");
        assert_eq!(between("7.1.3", "7.1.7"), "7.1.4 to 7.1.6");
        assert_eq!(
            between("7.0.13", "7.1.3"),
            "of 7.0 all after 7.0.13; 7.1 to 7.1.2"
        );
        assert_eq!(between("7.0.13", "7.1"), "of 7.0 all after 7.0.13");
        assert_eq!(
            between("6.12.118", "6.16.3"),
            "of 6.12 all after 6.12.118; 6.13 to 6.15; 6.16 to 6.16.2"
        );
        assert_eq!(
            between("6.19.14", "7.1.1"),
            "of 6.19 all after 6.19.14; of 6 all series after 6.19; 7.0; 7.1"
        );
        assert_eq!(
            between("6.19.14", "7.0.4"),
            "of 6.19 all after 6.19.14; of 6 all series after 6.19; 7.0 to 7.0.3"
        );
    }

    proptest! {
        /// Check that a search ends at the turn, with no useful release left between its bounds, and asks few.
        #[test]
        fn finds_the_turn(
            between in 0_usize..60,
            turn in 0_usize..61,
            holds in any::<bool>(),
            useless in proptest::collection::vec(any::<u8>(), 60),
        ) {
            let turn = turn.min(between);
            // Index 1 to `turn` are as before, all others as after.
            let mut search = Bisection::new(between, holds);
            let is_useless = |index: usize| useless[index - 1] < 32;
            let (mut requested, mut gaps) = (0, 0);
            while let Some(index) = search.next_release() {
                requested += 1;
                let answer = match ((index <= turn) == holds, is_useless(index)) {
                    (_, true) if index % 2 == 0 => { gaps += 1; None }
                    (_, true) => { gaps += 1; Some(Answer::Gap(Verdict::Unverified)) }
                    (true, _) => Some(Answer::True),
                    (false, _) => Some(Answer::False),
                };
                search.record_answer(index, answer);
            }
            let (before, after) = search.bounds();
            prop_assert!(before <= turn && turn < after);
            prop_assert!((before + 1..after).all(is_useless));
            let most = usize::BITS - between.leading_zeros();
            prop_assert!(requested <= usize::try_from(most).unwrap() + gaps, "{requested}");
        }

        /// Check that no two versions make the list of what is not served fail.
        #[test]
        fn any_gap(a in (0_u64..9, 0_u64..30, 0_u64..200), b in (0_u64..9, 0_u64..30, 0_u64..200)) {
            let version = |(major, minor, patch)| ReleaseVersion { major, minor, patch };
            let (a, b) = (version(a), version(b));
            unserved_releases(a.min(b), a.max(b));
        }
    }
}
