//! The check of the splits' sizes: as many rows, groups or customers as the recipe asks for, exactly, or as near as whole groups and
//! whole times allow.

use super::edges::Edges;
use super::groups::Groups;
use super::places::Places;
use super::strata::{is_balanced, is_rounded};
use super::times::Times;
use super::{Check, Subject};
use crate::allot::{self, sized_names};
use crate::spec::{GroupSizes, Rest, Size, Split, SplitKind};
use crate::split::{self, Reason, Shares};

const NAME: &str = "split sizes";

/// Makes it, for kinds whose sizes are promised.
pub(super) fn check(
    job: &Subject<'_>,
    places: &Places<'_>,
    groups: &Groups<'_>,
    times: &Times<'_>,
    complete: bool,
) -> Option<Check> {
    let split = &job.recipe.split;
    if split.kind == SplitKind::None || is_balanced(job) {
        return None;
    }
    if !complete {
        return Some(Check::incomplete(NAME));
    }
    let rest =
        job.manifest.dropped.iter().find(|(reason, _)| *reason == Reason::Rest.name()).map_or(0, |(_, rows)| *rows);
    let sizes = Sizes {
        split,
        names: &places.names,
        rows: &places.rows[..sized_names(split).len().min(places.rows.len())],
        rest,
    };
    let outcome = match (split.kind, split.groups.is_some()) {
        (SplitKind::None | SplitKind::StratifiedGrouped, _) => return None,
        (SplitKind::Random | SplitKind::Stratified, _) | (SplitKind::Kfold, false) => {
            sizes.exact(job.manifest.stratify.is_empty())
        }
        (SplitKind::TemporalQuantile, _) => match times.untold(complete) {
            Some(why) => Err(Untold::NotProvable(why)),
            None => sizes.nearest(&times.edges, "time"),
        },
        (SplitKind::Grouped | SplitKind::Temporal, _) | (SplitKind::Kfold, true) => match split.group_sizes() {
            GroupSizes::Groups => match groups.untold(complete) {
                Some(why) => Err(Untold::NotProvable(why)),
                None => sizes.of_groups(&groups.counts),
            },
            GroupSizes::Rows => match groups.untold(complete) {
                Some(why) => Err(Untold::NotProvable(why)),
                None if groups.are_ranked() => sizes.nearest(&groups.edges, "group"),
                None => sizes.near(groups.largest),
            },
        },
    };
    Some(match outcome {
        Ok(figures) => Check::ok(NAME, figures),
        Err(Untold::NotProvable(why)) => Check::not_provable(NAME, why),
        Err(Untold::Wrong(wrong)) => Check::unless(NAME, &wrong, ""),
    })
}

/// Why sizes are not right, or not known to be.
enum Untold {
    NotProvable(String),
    Wrong(Vec<String>),
}

type Outcome = Result<String, Untold>;

struct Sizes<'a> {
    split: &'a Split,
    names: &'a [String],
    /// Rows of the places that have a size.
    rows: &'a [u64],
    /// Rows that the sizes leave out.
    rest: u64,
}

impl Sizes<'_> {
    fn total(&self) -> u64 {
        self.rows.iter().sum::<u64>() + self.rest
    }

    fn shares(&self, count: u64, what: GroupSizes) -> Result<Shares, Untold> {
        allot::shares(self.split, count, what).map_err(|error| Untold::Wrong(vec![error.to_string()]))
    }

    /// Every split has what it is to have.
    fn equal(&self, found: &[u64], expected: &[u64], what: &str) -> Outcome {
        let wrong =
            self.names.iter().zip(found.iter().zip(expected)).filter(|(_, (found, expected))| found != expected);
        let wrong: Vec<String> =
            wrong.map(|(name, (found, expected))| format!("{name} has {found} {what}, not {expected}")).collect();
        if wrong.is_empty() {
            Ok(format!("{} {what}, exact", join(self.names, found)))
        } else {
            Err(Untold::Wrong(wrong))
        }
    }

    /// Rows by rank: largest remainders, or with strata floor or ceiling.
    fn exact(&self, is_one_stratum: bool) -> Outcome {
        let total = self.total();
        let shares = self.shares(total, GroupSizes::Rows)?;
        if is_one_stratum {
            return self.equal(self.rows, &split::quotas(&[total], &shares).totals(), "rows");
        }
        let cells = self.names.iter().zip(self.rows.iter().zip(shares.fractions()));
        let wrong: Vec<String> = cells
            .filter(|(_, (rows, share))| !is_rounded(**rows, total, *share))
            .map(|(name, (rows, (part, whole)))| {
                format!("{name} has {rows} rows, which is not {part}/{whole} of {total}")
            })
            .collect();
        if !wrong.is_empty() {
            return Err(Untold::Wrong(wrong));
        }
        Ok(format!("{} rows, each the floor or the ceiling of its share", join(self.names, self.rows)))
    }

    /// Whole groups or times: every end is where it is nearest to its target.
    fn nearest(&self, edges: &Edges, what: &str) -> Outcome {
        if !edges.overlaps().is_empty() {
            return Err(Untold::NotProvable(format!("the splits are not in the order of their {what}s")));
        }
        let total = self.total();
        let targets = allot::targets(&self.shares(total, GroupSizes::Rows)?, total);
        let wrong: Vec<String> = edges
            .misplaced(self.rows, &targets)
            .into_iter()
            .map(|at| format!("{} ends a {what} too early or too late to be nearest to its size", self.names[at]))
            .collect();
        if !wrong.is_empty() {
            return Err(Untold::Wrong(wrong));
        }
        Ok(format!("{} rows, each end at the {what} nearest to its size", join(self.names, self.rows)))
    }

    /// Whole groups of unknown ranks: no end is off by more than half the largest group.
    fn near(&self, largest: u64) -> Outcome {
        if self.split.rest == Rest::Drop {
            return Err(Untold::NotProvable("the groups that the sizes leave out are not in the parts".into()));
        }
        let total = self.total();
        let targets = allot::targets(&self.shares(total, GroupSizes::Rows)?, total);
        let ends = self.rows.iter().scan(0, |sum, rows| {
            *sum += rows;
            Some(*sum)
        });
        let off: Vec<u64> = ends.zip(&targets).map(|(end, target)| end.abs_diff(*target)).collect();
        let wrong: Vec<String> = off
            .iter()
            .zip(self.names)
            .filter(|(off, _)| off.saturating_mul(2) > largest)
            .map(|(off, name)| format!("{name} ends {off} rows off its size, and the largest group has {largest} rows"))
            .collect();
        if !wrong.is_empty() {
            return Err(Untold::Wrong(wrong));
        }
        let most = off.into_iter().max().unwrap_or(0);
        Ok(format!(
            "{} rows, {most} off at the most, which is within half the largest group of {largest} rows",
            join(self.names, self.rows)
        ))
    }

    /// So many groups.
    fn of_groups(&self, counts: &[u64]) -> Outcome {
        let counts = &counts[..self.rows.len()];
        let what = if self.split.kind == SplitKind::Temporal { "customers" } else { "groups" };
        let asked: Vec<u64> = self
            .split
            .sizes
            .0
            .iter()
            .filter_map(|(_, size)| if let Size::Count(count) = size { Some(*count) } else { None })
            .collect();
        if !asked.is_empty() && self.split.kind != SplitKind::Kfold {
            return self.equal(counts, &asked, what);
        }
        if self.split.rest == Rest::Drop {
            return Err(Untold::NotProvable(format!("the {what} that the sizes leave out are not in the parts")));
        }
        let count = counts.iter().sum();
        let shares = self.shares(count, GroupSizes::Groups)?;
        let ends = match self.split.kind {
            SplitKind::Temporal => shares.floors(count),
            _ => allot::targets(&shares, count),
        };
        let starts = std::iter::once(0).chain(ends.iter().copied());
        let expected: Vec<u64> =
            starts.zip(ends.iter().copied().chain([count])).map(|(start, end)| end - start).collect();
        self.equal(counts, &expected, what)
    }
}

fn join(names: &[String], figures: &[u64]) -> String {
    let each = names.iter().zip(figures).map(|(name, figure)| format!("{name} {figure}"));
    each.collect::<Vec<_>>().join(", ")
}
