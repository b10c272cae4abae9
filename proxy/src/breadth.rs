//! Max-Breadth: how many branches may run at once (RFC 5393 §5.3).
//!
//! The sum over the running branches never exceeds what came in. More targets than that are tried in
//! waves, so a breadth of 1 is serial forking; a breadth of 0 lets nothing be forwarded (440).

/// The value a request without the field gets, and the most that is taken over (RFC 5393 §5.3.3.1).
pub const MOST: u32 = 60;

/// The breadth this request may use here, from its Max-Breadth field if it has one.
pub fn incoming(field: Option<u32>) -> u32 {
    field.map_or(MOST, |value| value.min(MOST))
}

/// The targets of one parallel group cut into waves: each wave has a share of `breadth` for each of its
/// branches, at least 1, together at most `breadth`. No waves at all when `breadth` is 0.
pub fn waves(breadth: u32, targets: usize) -> Vec<Vec<u32>> {
    let Ok(most) = usize::try_from(breadth) else { return Vec::new() };
    if most == 0 {
        return Vec::new();
    }
    let mut left = targets;
    let mut waves = Vec::new();
    while left > 0 {
        let wave = left.min(most);
        waves.push(shares(breadth, wave));
        left -= wave;
    }
    waves
}

fn shares(breadth: u32, branches: usize) -> Vec<u32> {
    let count = u32::try_from(branches).unwrap_or(u32::MAX).max(1);
    let (each, more) = (breadth / count, breadth % count);
    (0..count).map(|i| each + u32::from(i < more)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absent_field_counts_as_sixty_and_more_is_capped() {
        assert_eq!([incoming(None), incoming(Some(5)), incoming(Some(1000))], [60, 5, 60]);
    }

    #[test]
    fn parallel_branches_share_the_breadth_without_remainder_lost_or_exceeded() {
        assert_eq!(waves(60, 2), [[30, 30]]);
        assert_eq!(waves(7, 3), [[3, 2, 2]]);
        for (breadth, targets) in [(60, 7), (5, 5), (9, 4)] {
            assert_eq!(waves(breadth, targets).concat().iter().sum::<u32>(), breadth);
        }
    }

    #[test]
    fn a_breadth_of_one_forks_serially() {
        assert_eq!(waves(1, 2), [[1], [1]]);
    }

    #[test]
    fn too_many_targets_go_in_waves() {
        assert_eq!(waves(2, 5), [vec![1, 1], vec![1, 1], vec![2]]);
    }

    #[test]
    fn no_breadth_forwards_nothing() {
        assert!(waves(0, 1).is_empty());
    }
}
