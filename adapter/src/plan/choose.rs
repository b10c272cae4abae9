//! Choosing one variant of every part (CPI.md §3.6): the multiple-choice knapsack.

use std::cmp::Reverse;

/// Costs count in steps of this many octets, rounded up.
const CELL: u64 = 64;

/// Steps in a budget. A budget over 1 MiB has coarser ones than CPI.md's 64 octets, so that the work of the exact
/// choice has a bound.
const CELLS: u64 = 16 * 1024;

/// Parts and variants up to which the choice is exact.
const EXACT_PARTS: usize = 32;
const EXACT_VARIANTS: usize = 24;

/// A variant as the choice sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// Weight times utility.
    pub(crate) value: u64,
    /// Octets of the whole part.
    pub(crate) cost: u64,
    /// Operations.
    pub(crate) ops: u32,
    /// 0 to 8.
    pub(crate) number: u8,
}

/// Greater is better: value, then fewer operations, fewer octets, a lower variant number. The sum over parts has the
/// same order, so that a better tail never makes a worse whole.
type Rank = (u64, Reverse<u64>, Reverse<u64>, Reverse<u64>);

impl Candidate {
    fn rank(&self) -> Rank {
        (self.value, Reverse(self.ops.into()), Reverse(self.cost), Reverse(self.number.into()))
    }

    fn cells(&self, cell: u64) -> u64 {
        self.cost.div_ceil(cell)
    }
}

/// The best candidate of each part by itself. `None` if a part has none.
pub(crate) fn each_best(parts: &[Vec<Candidate>]) -> Option<Vec<usize>> {
    parts.iter().map(|part| best_index(part)).collect()
}

/// The best combination of at most `budget` octets; `None` if there is none.
pub(crate) fn choose(parts: &[Vec<Candidate>], budget: Option<u64>) -> Option<Vec<usize>> {
    let free = each_best(parts)?;
    let Some(budget) = budget else { return Some(free) };
    if total(parts, &free) <= budget {
        return Some(free);
    }
    let cell = CELL.max((budget / CELLS).next_power_of_two());
    let kept: Vec<Vec<usize>> = parts.iter().map(|part| undominated(part, cell)).collect();
    let exact = parts.len() <= EXACT_PARTS && kept.iter().all(|part| part.len() <= EXACT_VARIANTS);
    let found =
        if exact { exactly(parts, &kept, budget, cell) } else { greedily(parts, &kept, free, budget) };
    // The rounding may have hidden a combination that fits to the octet.
    found.or_else(|| {
        let cheapest: Vec<usize> = parts.iter().map(|part| cheapest(part)).collect::<Option<_>>()?;
        (total(parts, &cheapest) <= budget).then_some(cheapest)
    })
}

fn best_index(part: &[Candidate]) -> Option<usize> {
    // `max_by_key` takes the last of equals, the reversed index makes that the first.
    part.iter().enumerate().max_by_key(|(at, candidate)| (candidate.rank(), Reverse(*at))).map(|(at, _)| at)
}

fn cheapest(part: &[Candidate]) -> Option<usize> {
    let better = |candidate: &Candidate, at| (Reverse(candidate.cost), candidate.rank(), Reverse(at));
    part.iter().enumerate().max_by_key(|&(at, candidate)| better(candidate, at)).map(|(at, _)| at)
}

fn total(parts: &[Vec<Candidate>], picks: &[usize]) -> u64 {
    parts.iter().zip(picks).filter_map(|(part, &pick)| part.get(pick)).map(|candidate| candidate.cost).sum()
}

/// Without those that cost as much as another and are no better, cheapest first.
fn undominated(part: &[Candidate], cell: u64) -> Vec<usize> {
    let mut order: Vec<(usize, &Candidate)> = part.iter().enumerate().collect();
    order.sort_by_key(|&(at, candidate)| (candidate.cells(cell), Reverse(candidate.rank()), at));
    let mut best: Option<Rank> = None;
    order.retain(|(_, candidate)| {
        let better = best.is_none_or(|best| candidate.rank() > best);
        if better {
            best = Some(candidate.rank());
        }
        better
    });
    order.into_iter().map(|(at, _)| at).collect()
}

/// A combination of the parts up to some part, that no cheaper one equals.
#[derive(Clone, Copy)]
struct State {
    cells: u64,
    rank: Rank,
    step: Step,
}

/// How a state was reached.
#[derive(Clone, Copy, Default)]
struct Step {
    from: u32,
    pick: u8,
}

fn exactly(parts: &[Vec<Candidate>], kept: &[Vec<usize>], budget: u64, cell: u64) -> Option<Vec<usize>> {
    let room = budget / cell;
    let zero = (0, Reverse(0), Reverse(0), Reverse(0));
    let mut states = vec![State { cells: 0, rank: zero, step: Step::default() }];
    let mut road: Vec<Vec<Step>> = Vec::with_capacity(parts.len());
    for (part, picks) in parts.iter().zip(kept) {
        let mut next = Vec::new();
        for (pick, candidate) in (0u8..).zip(picks.iter().filter_map(|&at| part.get(at))) {
            next = merge(next, &extend(&states, candidate, pick, room, cell));
        }
        road.push(next.iter().map(|state| state.step).collect());
        states = next;
    }
    // States are in order of cost and of rank, so the last is the best.
    let mut at = states.len().checked_sub(1)?;
    let mut chosen = Vec::with_capacity(parts.len());
    for (steps, picks) in road.iter().zip(kept).rev() {
        let step = steps.get(at)?;
        chosen.push(*picks.get(usize::from(step.pick))?);
        at = usize::try_from(step.from).ok()?;
    }
    chosen.reverse();
    Some(chosen)
}

/// All states with that candidate added, in order.
fn extend(states: &[State], candidate: &Candidate, pick: u8, room: u64, cell: u64) -> Vec<State> {
    let more = candidate.cells(cell);
    (0u32..)
        .zip(states)
        .map(|(from, state)| State {
            cells: state.cells.saturating_add(more),
            rank: add(state.rank, candidate.rank()),
            step: Step { from, pick },
        })
        .take_while(|state| state.cells <= room)
        .collect()
}

/// Both in order of cost, without the states that a cheaper one equals. Among equals the first list's stays.
fn merge(first: Vec<State>, second: &[State]) -> Vec<State> {
    let mut merged: Vec<State> = Vec::with_capacity(first.len() + second.len());
    let (mut a, mut b) = (first.iter().peekable(), second.iter().peekable());
    loop {
        let take_first = match (a.peek(), b.peek()) {
            (Some(a), Some(b)) => (a.cells, Reverse(a.rank)) <= (b.cells, Reverse(b.rank)),
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (None, None) => return merged,
        };
        let Some(state) = (if take_first { a.next() } else { b.next() }) else { return merged };
        if merged.last().is_none_or(|best| state.rank > best.rank) {
            merged.push(*state);
        }
    }
}

fn add(a: Rank, b: Rank) -> Rank {
    (a.0 + b.0, Reverse(a.1.0 + b.1.0), Reverse(a.2.0 + b.2.0), Reverse(a.3.0 + b.3.0))
}

/// From each part's best, the downgrade with the least value lost per octet saved, until it fits.
fn greedily(
    parts: &[Vec<Candidate>],
    kept: &[Vec<usize>],
    mut picks: Vec<usize>,
    budget: u64,
) -> Option<Vec<usize>> {
    let mut sum = total(parts, &picks);
    while sum > budget {
        let mut best: Option<(u64, u64, usize, usize)> = None;
        for (at, (part, options)) in parts.iter().zip(kept).enumerate() {
            let now = part.get(*picks.get(at)?)?;
            for &option in options {
                let Some(other) = part.get(option) else { continue };
                let Some(saved) = now.cost.checked_sub(other.cost).filter(|&saved| saved > 0) else {
                    continue;
                };
                let lost = now.value.saturating_sub(other.value);
                // lost/saved compared without a fraction; all factors stay far below 2^32.
                let less = best.is_none_or(|(least, over, _, _)| {
                    u128::from(lost) * u128::from(over) < u128::from(least) * u128::from(saved)
                });
                if less {
                    best = Some((lost, saved, at, option));
                }
            }
        }
        let (_, saved, at, option) = best?;
        sum -= saved;
        *picks.get_mut(at)? = option;
    }
    Some(picks)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn candidate(value: u64, cost: u64) -> Candidate {
        Candidate { value, cost, ops: 0, number: 0 }
    }

    fn rank_of(parts: &[Vec<Candidate>], picks: &[usize]) -> Rank {
        let zero = (0, Reverse(0), Reverse(0), Reverse(0));
        parts.iter().zip(picks).fold(zero, |sum, (part, &pick)| add(sum, part[pick].rank()))
    }

    /// Every combination whose rounded costs fit.
    fn brute_force(parts: &[Vec<Candidate>], budget: u64) -> Option<Rank> {
        let mut all: Vec<Vec<usize>> = vec![vec![]];
        for part in parts {
            all = all.iter().flat_map(|head| (0..part.len()).map(|at| [&head[..], &[at]].concat())).collect();
        }
        let cells =
            |picks: &Vec<usize>| -> u64 { parts.iter().zip(picks).map(|(p, &at)| p[at].cells(CELL)).sum() };
        all.iter().filter(|picks| cells(picks) <= budget / CELL).map(|picks| rank_of(parts, picks)).max()
    }

    #[test]
    fn equal_values_go_to_fewer_operations_then_octets_then_the_lower_number() {
        let of = |ops, cost, number| Candidate { value: 5, cost, ops, number };
        assert_eq!(each_best(&[vec![of(1, 10, 0), of(0, 99, 8)]]), Some(vec![1]));
        assert_eq!(each_best(&[vec![of(0, 99, 0), of(0, 10, 8)]]), Some(vec![1]));
        assert_eq!(each_best(&[vec![of(0, 10, 3), of(0, 10, 2)]]), Some(vec![1]));
        assert_eq!(each_best(&[vec![of(0, 10, 2), of(0, 10, 2)]]), Some(vec![0]));
    }

    #[test]
    fn a_combination_that_fits_to_the_octet_is_found_although_it_does_not_fit_rounded() {
        let parts = vec![vec![candidate(9, 500), candidate(1, 65)], vec![candidate(1, 65)]];
        assert_eq!(choose(&parts, Some(130)), Some(vec![1, 0]));
        assert_eq!(choose(&parts, Some(129)), None);
    }

    #[test]
    fn a_part_without_candidates_has_no_solution() {
        assert_eq!(choose(&[vec![candidate(1, 1)], vec![]], Some(10)), None);
    }

    #[test]
    fn more_than_32_parts_are_chosen_greedily_within_the_budget() {
        let parts = vec![vec![candidate(10, 1000), candidate(4, 100)]; 40];
        let picks = choose(&parts, Some(10_000)).unwrap();
        assert!(total(&parts, &picks) <= 10_000);
        assert_eq!(picks.iter().filter(|&&pick| pick == 0).count(), 6);
    }

    proptest! {
        #[test]
        fn the_choice_is_as_good_as_trying_all(
            parts in proptest::collection::vec(
                proptest::collection::vec((0u64..50, 0u64..2000, 0u32..3, 0u8..9), 1..5), 1..5),
            budget in 0u64..6000,
        ) {
            let parts: Vec<Vec<Candidate>> = parts.into_iter().map(|part| part.into_iter()
                .map(|(value, cost, ops, number)| Candidate { value, cost, ops, number }).collect()).collect();
            let free = each_best(&parts).unwrap();
            let picks = choose(&parts, Some(budget));
            prop_assert_eq!(&picks, &choose(&parts, Some(budget)));
            if let Some(picks) = &picks {
                prop_assert!(total(&parts, picks) <= budget);
            }
            if total(&parts, &free) <= budget {
                prop_assert_eq!(picks, Some(free));
            } else if let Some(best) = brute_force(&parts, budget) {
                prop_assert_eq!(rank_of(&parts, &picks.unwrap()), best);
            }
        }

        #[test]
        fn greedy_choices_fit(costs in proptest::collection::vec((1u64..5000, 1u64..100), 33..60), budget in 0u64..100_000) {
            let parts: Vec<Vec<Candidate>> = costs.iter()
                .map(|&(cost, value)| vec![candidate(value, cost), candidate(value / 2, cost / 3)]).collect();
            if let Some(picks) = choose(&parts, Some(budget)) {
                prop_assert!(total(&parts, &picks) <= budget);
            }
        }
    }
}
