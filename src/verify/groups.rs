//! The checks of splits that keep groups whole: no group in two splits, as many groups in each as the manifest says, groups in the
//! order of their ranks, and no customer of a split that `oot_exclude` names among those out of time.

use arrow::array::RecordBatch;

use super::edges::Edges;
use super::hashes::Hashes;
use super::places::{NOWHERE, Places};
use super::strata::is_balanced;
use super::values::{self, Column, Empty, Untold, Wide};
use super::{Check, Subject};
use crate::error::Result;
use crate::hash::{self, NO_GROUP};
use crate::spec::{MissingGroups, SplitKind};

/// What a row without a group is.
enum Without<'a> {
    /// None is left.
    Nothing,
    /// A group of its own.
    Own,
    /// Of the group of all rows of its key that have none.
    OfKey(Vec<Column<'a>>),
}

/// How groups are told.
struct Source<'a> {
    /// Columns of the group; none where every row is one.
    columns: Vec<Column<'a>>,
    without: Without<'a>,
}

/// The groups of the output.
pub(super) struct Groups<'a> {
    job: &'a Subject<'a>,
    source: Option<Untold<Source<'a>>>,
    /// Places that have a size; the one beyond them is `oot`.
    sized: usize,
    /// Places whose customers are not to be in `oot`.
    excluded: u128,
    hashes: Hashes,
    /// Of the ranks of groups, where these are known.
    pub(super) edges: Edges,
    /// Groups by place.
    pub(super) counts: Vec<u64>,
    /// Rows of the largest group in sized places.
    pub(super) largest: u64,
    /// Rows of which the rank of the group is not known.
    unranked: u64,
    shared: u64,
    late: u64,
    without: u64,
    unclear: u64,
}

impl<'a> Groups<'a> {
    pub(super) fn new(job: &'a Subject<'a>, places: &Places<'_>) -> Self {
        let split = &job.recipe.split;
        let matters = split.groups.is_some() || split.kind == SplitKind::Temporal;
        let names = crate::allot::sized_names(split);
        let excluded = if split.kind == SplitKind::Temporal { split.oot_exclude() } else { Vec::new() };
        let bits = names.iter().enumerate().filter(|(_, name)| excluded.contains(name));
        let places = places.names.len();
        Self {
            job,
            source: matters.then(|| source(job)),
            sized: names.len().min(places),
            excluded: bits.fold(0, |bits, (at, _)| bits | 1 << at),
            hashes: Hashes::new(),
            edges: Edges::new(places),
            counts: vec![0; places],
            largest: 0,
            unranked: 0,
            shared: 0,
            late: 0,
            without: 0,
            unclear: 0,
        }
    }

    /// Columns whose values are needed.
    pub(super) fn columns(&self) -> impl Iterator<Item = usize> + use<'_, 'a> {
        self.source.iter().flatten().flat_map(|source| {
            let key = if let Without::OfKey(key) = &source.without { key.as_slice() } else { &[] };
            source.columns.iter().chain(key).map(|column| column.at)
        })
    }

    /// The hashes that it keeps, if any.
    pub(super) fn hashes(&mut self) -> Option<&mut Hashes> {
        matches!(self.source, Some(Ok(_))).then_some(&mut self.hashes)
    }

    /// Adds the groups of a batch.
    pub(super) fn add(&mut self, places: &[u8], batch: &RecordBatch) -> Result<()> {
        let Some(Ok(source)) = &self.source else { return Ok(()) };
        let first = self.hashes.is_first();
        let empty = if matches!(source.without, Without::Nothing) { Empty::Text } else { Empty::Unclear };
        let Wide { hashes: groups, unclear } = values::wide(self.job, &source.columns, batch, empty)?;
        self.unclear += unclear;
        let keys = match &source.without {
            Without::OfKey(key) if groups.contains(&NO_GROUP) => {
                let (hashes, unclear) = values::key_hashes(self.job, key, batch)?;
                self.unclear += u64::from(unclear);
                hashes
            }
            _ => Vec::new(),
        };
        let exact = source.columns.iter().all(|column| column.exact);
        let state = self.job.recipe.split.random_state;
        for (row, (group, place)) in
            groups.into_iter().zip(places).enumerate().filter(|(_, (_, place))| **place != NOWHERE)
        {
            let at = usize::from(*place);
            let group = match &source.without {
                _ if group != NO_GROUP => group,
                Without::OfKey(_) => hash::own_group(keys[row]),
                Without::Nothing => {
                    self.without += u64::from(first);
                    continue;
                }
                Without::Own => {
                    if first {
                        self.counts[at] += 1;
                        self.largest = self.largest.max(1);
                        self.unranked += u64::from(at < self.sized);
                    }
                    continue;
                }
            };
            self.hashes.add(group, *place);
            if first && at < self.sized {
                match exact {
                    true => self.edges.add(at, hash::group_rank(group, state)),
                    false => self.unranked += 1,
                }
            }
        }
        Ok(())
    }

    /// Counts the groups of a partition once it was read.
    pub(super) fn finish_partition(&mut self) {
        let Self { hashes, sized, excluded, counts, shared, late, largest, .. } = self;
        hashes.finish(|places| {
            let (mut met, mut rows) = (0_u128, 0);
            for (place, more) in places {
                met |= 1 << place;
                rows += if usize::from(place) < *sized { more } else { 0 };
            }
            let in_sized = met & ((1 << *sized) - 1);
            *shared += u64::from(in_sized.count_ones() > 1);
            *late += u64::from(met != in_sized && met & *excluded != 0);
            *largest = (*largest).max(rows);
            counts.iter_mut().enumerate().for_each(|(at, count)| *count += (met >> at & 1) as u64);
        });
    }

    /// Why the groups are not known, if they are not.
    pub(super) fn untold(&self, complete: bool) -> Option<String> {
        match &self.source {
            None => Some("there are no groups".into()),
            Some(Err(why)) => Some(why.clone()),
            Some(Ok(_)) if !complete => Some(super::INCOMPLETE.into()),
            Some(Ok(_)) if self.unclear > 0 => {
                Some("groups have missing values, which the parts do not tell from others".into())
            }
            Some(Ok(_)) => None,
        }
    }

    /// Whether the rank of every group in the sized places is known.
    pub(super) fn are_ranked(&self) -> bool {
        self.unranked == 0
    }

    /// The checks, when groups matter.
    pub(super) fn checks(&self, places: &Places<'_>, complete: bool) -> Vec<Check> {
        if self.source.is_none() {
            return Vec::new();
        }
        let mut names = vec!["groups"];
        let is_ordered = !is_balanced(self.job);
        names.extend(is_ordered.then_some("hash order"));
        names.extend((self.excluded != 0).then_some("oot customers"));
        if let Some(why) = self.untold(complete) {
            return names.into_iter().map(|name| Check::not_provable(name, &why)).collect();
        }
        let checks = names.into_iter().map(|name| match name {
            "groups" => self.whole(places, name),
            "hash order" => self.order(places, name),
            _ => self.out_of_time(name),
        });
        checks.collect()
    }

    fn whole(&self, places: &Places<'_>, name: &'static str) -> Check {
        let mut wrong = Vec::new();
        if self.shared > 0 {
            wrong.push(format!("{} groups are in two splits", self.shared));
        }
        if self.without > 0 {
            wrong.push(format!("{} rows have no group, and such rows are dropped", self.without));
        }
        let expected = self.job.recipe.split.groups.is_some() && !places.are_folds();
        for (split, counted) in self.job.manifest.splits.iter().zip(&self.counts).filter(|_| expected) {
            match split.groups {
                Some(groups) if groups == *counted => {}
                Some(groups) => {
                    wrong.push(format!("{} has {counted} groups, the manifest says {groups}", split.name));
                }
                None => wrong.push(format!("the manifest does not say how many groups {} has", split.name)),
            }
        }
        let groups: u64 = self.counts[..self.sized].iter().sum();
        let largest = self.largest;
        Check::unless(name, &wrong, format!("{groups} groups, none in two splits; the largest has {largest} rows"))
    }

    fn order(&self, places: &Places<'_>, name: &'static str) -> Check {
        let overlaps = self.edges.overlaps();
        if !overlaps.is_empty() {
            let names: Vec<&str> = overlaps.iter().map(|at| places.names[*at].as_str()).collect();
            let names = names.join(", ");
            return Check::failed(name, format!("groups of {names} are not where the hash of the group puts them"));
        }
        let contract = hash::CONTRACT;
        if self.are_ranked() {
            return Check::ok(name, format!("every group is where {contract} of its value puts it"));
        }
        let unranked = self.unranked;
        let why = "are codes, or rows known by their place in the input alone";
        Check::not_provable(
            name,
            format!("the groups of {unranked} rows {why}; all others are where {contract} puts them"),
        )
    }

    fn out_of_time(&self, name: &'static str) -> Check {
        let excluded = self.job.recipe.split.oot_exclude().join(", ");
        if self.late > 0 {
            return Check::failed(name, format!("{} customers of {excluded} are in oot", self.late));
        }
        let customers = self.counts.get(self.sized).copied().unwrap_or(0);
        Check::ok(name, format!("{customers} customers, none of them in {excluded}"))
    }
}

/// How the groups of a job are told, or why they are not.
fn source<'a>(job: &'a Subject<'a>) -> Untold<Source<'a>> {
    let split = &job.recipe.split;
    let columns = match &split.groups {
        Some(names) => values::columns(job, names, Column::distinct)?,
        None => Vec::new(),
    };
    let own = columns.is_empty() || split.missing_groups == MissingGroups::Own;
    let without = match &split.key {
        _ if !own => Without::Nothing,
        None => Without::Own,
        Some(key) => Without::OfKey(values::columns(job, key, Column::exact)?),
    };
    Ok(Source { columns, without })
}
