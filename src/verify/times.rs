//! The check of splits by time: every row before the gap or at or after the cutoff, or whole times from oldest to newest.

use arrow::array::RecordBatch;

use super::edges::Edges;
use super::places::{NOWHERE, Places};
use super::values::{Column, Untold};
use super::{Check, Subject, chain};
use crate::error::Result;
use crate::spec::{Scalar, SplitKind};
use crate::split::time::{Cutoff, NO_TIME, Unit, ticks};

/// The times of the output.
pub(super) struct Times<'a> {
    job: &'a Subject<'a>,
    column: Option<Untold<Column<'a>>>,
    /// The ticks of the first row in the gap and of the first out of time.
    cutoff: Option<(u64, u64)>,
    /// Places that have a size; the one beyond them is `oot`.
    sized: usize,
    pub(super) edges: Edges,
    of_batch: Vec<u64>,
    missing: u64,
    /// Rows of sized places that are not before the gap.
    late: u64,
    /// Rows of `oot` before the cutoff.
    early: u64,
    unreadable: Option<String>,
}

impl<'a> Times<'a> {
    pub(super) fn new(job: &'a Subject<'a>, places: &Places<'_>) -> Self {
        let split = &job.recipe.split;
        let mut column = split.time.as_ref().map(|name| Column::exact(job, name));
        let mut cutoff = None;
        if let (Some(Ok(found)), Some(name), Some(at)) = (&column, &split.time, &split.cutoff) {
            let unit = Unit::of(name, &job.types[found.at]);
            match unit.and_then(|unit| Cutoff::read(at, split.gap.as_ref())?.ticks(name, unit)) {
                Ok(found) => cutoff = Some(found),
                Err(error) => column = Some(Err(chain(&error))),
            }
        }
        Self {
            job,
            column,
            cutoff,
            sized: crate::allot::sized_names(split).len(),
            edges: Edges::new(places.names.len()),
            of_batch: Vec::new(),
            missing: 0,
            late: 0,
            early: 0,
            unreadable: None,
        }
    }

    /// Columns whose values are needed.
    pub(super) fn columns(&self) -> impl Iterator<Item = usize> + use<'_, 'a> {
        self.column.iter().flatten().map(|column| column.at)
    }

    pub(super) fn add(&mut self, places: &[u8], batch: &RecordBatch) -> Result<()> {
        let Some(Ok(column)) = &self.column else { return Ok(()) };
        self.of_batch.clear();
        if let Err(error) = ticks(&column.array(self.job, batch)?, &mut self.of_batch) {
            self.unreadable.get_or_insert_with(|| chain(&error));
            return Ok(());
        }
        for (tick, place) in self.of_batch.iter().zip(places).filter(|(_, place)| **place != NOWHERE) {
            let place = usize::from(*place);
            if *tick == NO_TIME {
                self.missing += 1;
                continue;
            }
            if let Some((gap, cutoff)) = self.cutoff {
                let in_time = place < self.sized;
                self.late += u64::from(in_time && *tick >= gap);
                self.early += u64::from(!in_time && *tick < cutoff);
            }
            self.edges.add(place, *tick);
        }
        Ok(())
    }

    /// Why the times are not known, if they are not.
    pub(super) fn untold(&self, complete: bool) -> Option<String> {
        match &self.column {
            None => Some("there are no times".into()),
            Some(Err(why)) => Some(why.clone()),
            Some(Ok(_)) if !complete => Some(super::INCOMPLETE.into()),
            Some(Ok(_)) => None,
        }
    }

    /// The check, when time decides.
    pub(super) fn check(&self, places: &Places<'_>, complete: bool) -> Option<Check> {
        const NAME: &str = "time";
        self.column.as_ref()?;
        if let Some(why) = self.untold(complete) {
            return Some(Check::not_provable(NAME, why));
        }
        let split = &self.job.recipe.split;
        let mut wrong: Vec<String> = self.unreadable.iter().cloned().collect();
        if self.missing > 0 {
            wrong.push(format!("{} rows have no time, and such rows are dropped", self.missing));
        }
        let figures = if split.kind == SplitKind::Temporal {
            let name = |value: Option<&Scalar>| value.map_or_else(String::new, scalar);
            let (cutoff, gap) = (name(split.cutoff.as_ref()), name(split.gap.as_ref()));
            let before = if gap.is_empty() { cutoff.clone() } else { format!("{cutoff} less {gap}") };
            if self.late > 0 {
                wrong.push(format!("{} rows that are not before {before} are in a split before it", self.late));
            }
            if self.early > 0 {
                wrong.push(format!("{} rows of oot are before {cutoff}", self.early));
            }
            let (sized, out): (u64, u64) =
                (places.rows[..self.sized].iter().sum(), places.rows[self.sized..].iter().sum());
            format!("{sized} rows before {before}, {out} rows of oot at or after {cutoff}")
        } else {
            let overlaps = self.edges.overlaps().into_iter();
            wrong.extend(overlaps.map(|at| {
                format!("{} has rows that are not newer than all rows of the splits before it", places.names[at])
            }));
            format!("{} splits, each newer than the one before it, no time in two", places.names.len())
        };
        Some(Check::unless(NAME, &wrong, figures))
    }
}

fn scalar(value: &Scalar) -> String {
    match value {
        Scalar::Bool(value) => value.to_string(),
        Scalar::Int(value) => value.to_string(),
        Scalar::Float(value) => value.to_string(),
        Scalar::Text(value) => value.clone(),
    }
}
