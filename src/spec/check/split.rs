//! Checks of `[split]`, `[dedupe]` and `[fit]`: what a kind needs is there, what it has no use for is not.

use super::super::{FitRows, MissingGroups, OOT, OneOrMany, Recipe, Rest, Size, Sizes, Split, SplitKind, Transform};
use crate::error::{Error, Result};
use crate::split::time;

/// Most splits that a recipe may name.
const MOST_SPLITS: usize = 100;

fn refuse<T>(message: impl Into<String>) -> Result<T> {
    Err(Error::Recipe(message.into()))
}

/// Checks all that can be known of a split without data.
///
/// # Errors
/// [`Error::Recipe`] that names the key and says what to write instead.
pub fn check(recipe: &Recipe) -> Result<()> {
    let split = &recipe.split;
    no_name_twice("split.key", split.key.as_ref())?;
    no_name_twice("split.stratify", split.stratify.as_ref())?;
    no_name_twice("split.groups", split.groups.as_ref())?;
    needed(recipe)?;
    unused(split)?;
    sizes(split)?;
    split.names().iter().try_for_each(|name| split_name(name))?;
    temporal(split)?;
    dedupe(recipe)?;
    fit(recipe)
}

/// What the kind needs.
fn needed(recipe: &Recipe) -> Result<()> {
    use SplitKind as K;
    let split = &recipe.split;
    let kind = name_of(split.kind);
    if matches!(split.kind, K::Stratified | K::StratifiedGrouped)
        && split.stratify.as_ref().is_none_or(|columns| columns.as_slice().is_empty())
        && recipe.label.is_none()
    {
        return refuse(format!("split.kind = \"{kind}\" needs split.stratify or label.column"));
    }
    if matches!(split.kind, K::Grouped | K::StratifiedGrouped) && split.groups.is_none() {
        return refuse(format!("split.kind = \"{kind}\" needs split.groups: the column whose rows stay together"));
    }
    if matches!(split.kind, K::Temporal | K::TemporalQuantile) && split.time.is_none() {
        return refuse(format!("split.kind = \"{kind}\" needs split.time: the column that says when a row is from"));
    }
    if split.kind == K::Temporal && split.cutoff.is_none() {
        return refuse("split.kind = \"temporal\" needs split.cutoff: rows at or after it are out of time");
    }
    Ok(())
}

/// Keys that the kind has no use for: passing over one would let a user believe in it.
fn unused(split: &Split) -> Result<()> {
    use SplitKind as K;
    let grouping = matches!(split.kind, K::Grouped | K::StratifiedGrouped | K::Temporal | K::Kfold);
    let stratifying = matches!(split.kind, K::Stratified | K::StratifiedGrouped | K::Kfold);
    let timed = matches!(split.kind, K::Temporal | K::TemporalQuantile);
    let temporal = split.kind == K::Temporal;
    let folds = split.kind == K::Kfold;
    let sized = !matches!(split.kind, K::None | K::Kfold);
    let given = [
        ("stratify", split.stratify.is_some(), stratifying, "stratified, stratified_grouped or kfold"),
        ("groups", split.groups.is_some(), grouping, "grouped, stratified_grouped, temporal or kfold"),
        (
            "missing_groups",
            split.missing_groups != MissingGroups::Drop,
            grouping && split.groups.is_some(),
            "split.groups and a kind that uses them",
        ),
        (
            "group_sizes",
            split.group_sizes.is_some(),
            matches!(split.kind, K::Grouped | K::Temporal | K::Kfold) && split.groups.is_some(),
            "split.groups and grouped, temporal or kfold",
        ),
        ("time", split.time.is_some(), timed, "temporal or temporal_quantile"),
        ("cutoff", split.cutoff.is_some(), temporal, "temporal"),
        ("gap", split.gap.is_some(), temporal, "temporal"),
        ("oot_exclude", split.oot_exclude.is_some(), temporal, "temporal"),
        ("folds", split.folds != 5, folds, "kfold"),
        ("fold_column", split.fold_column.is_some(), folds, "kfold"),
        ("rest", split.rest == Rest::Drop, sized, "a kind that has sizes"),
        ("sizes", split.kind == K::Kfold && split.sizes != Sizes::default(), false, "kinds other than kfold"),
    ];
    match given.into_iter().find(|(_, is_given, is_used, _)| *is_given && !is_used) {
        Some((key, .., with)) => {
            refuse(format!("split.{key} goes with {with}; this recipe says \"{}\"", name_of(split.kind)))
        }
        None if folds && split.stratify.is_some() && split.groups.is_some() && split.group_sizes.is_some() => refuse(
            "split.group_sizes does not go with folds that are stratified and grouped: rows are what they balance",
        ),
        None => Ok(()),
    }
}

fn sizes(split: &Split) -> Result<()> {
    let sizes = &split.sizes.0;
    match split.kind {
        SplitKind::None => return Ok(()),
        SplitKind::Kfold if !(2..=MOST_SPLITS as u32).contains(&split.folds) => {
            return refuse(format!("split.folds = {}: there can be 2 to {MOST_SPLITS} folds", split.folds));
        }
        SplitKind::Kfold => return Ok(()),
        _ => {}
    }
    if sizes.is_empty() || sizes.len() > MOST_SPLITS {
        return refuse("split.sizes: name 1 to 100 splits, as in { train = 0.8, test = 0.2 }");
    }
    let mut sum = 0.0;
    for (name, size) in sizes {
        match size {
            Size::Share(share) if *share > 0.0 && *share <= 1.0 => sum += share,
            // Whether a split before the cutoff has customers is known once they are counted.
            Size::Share(0.0) if split.kind == SplitKind::Temporal => {}
            Size::Share(share) => {
                return refuse(format!("split.sizes: {name} = {share} is no share; each is above 0 and at most 1"));
            }
            Size::Count(0) => return refuse(format!("split.sizes: {name} = 0; leave a split without rows out")),
            Size::Count(_) => return Ok(()),
        }
    }
    let too_much = sum - 1.0 > 1e-9;
    if too_much || (split.rest == Rest::Raise && (sum - 1.0).abs() > 1e-9) {
        return refuse(format!(
            "split.sizes sum to {sum}; they have to sum to 1, or to less with split.rest = \"drop\""
        ));
    }
    Ok(())
}

fn temporal(split: &Split) -> Result<()> {
    if split.kind != SplitKind::Temporal {
        return Ok(());
    }
    if split.sizes.0.iter().any(|(name, _)| name == OOT) {
        return refuse(
            "split.sizes names `oot`, which is the split of rows at or after the cutoff; size the splits before it",
        );
    }
    if let Some(cutoff) = &split.cutoff {
        time::Cutoff::read(cutoff, split.gap.as_ref())?;
    }
    let excluded = split.oot_exclude.iter().flatten();
    match excluded.into_iter().find(|name| !split.sizes.0.iter().any(|(known, _)| known == *name)) {
        Some(name) => refuse(format!("split.oot_exclude names `{name}`, which is not in split.sizes")),
        None if split.groups.is_none() && split.oot_exclude.as_ref().is_some_and(|names| !names.is_empty()) => {
            refuse("split.oot_exclude needs split.groups: the customers that are to be kept out of oot")
        }
        None => Ok(()),
    }
}

fn dedupe(recipe: &Recipe) -> Result<()> {
    let Some(dedupe) = &recipe.dedupe else { return Ok(()) };
    no_name_twice("dedupe.key", Some(&dedupe.key))?;
    no_name_twice("dedupe.order_by", dedupe.order_by.as_ref())?;
    match dedupe.key.as_slice() {
        [] => refuse("dedupe.key names no column"),
        _ if dedupe.order_by.as_ref().is_some_and(|columns| columns.as_slice().is_empty()) => {
            refuse("dedupe.order_by names no column; leave it out to keep the first row of each key")
        }
        _ => Ok(()),
    }
}

fn fit(recipe: &Recipe) -> Result<()> {
    const TRAIN: &str = "train";
    if recipe.fit.rows == FitRows::All {
        return Ok(());
    }
    if recipe.split.kind == SplitKind::None || !recipe.split.names().iter().any(|name| name == TRAIN) {
        return refuse("fit.rows = \"train\" needs a split of that name in split.sizes");
    }
    if recipe.transform.iter().all(|step: &Transform| !step.is_fitted()) {
        return refuse("fit.rows = \"train\", but no transform is fitted; leave it out");
    }
    Ok(())
}

fn no_name_twice(key: &str, columns: Option<&OneOrMany>) -> Result<()> {
    let names = columns.map_or(&[] as &[String], OneOrMany::as_slice);
    if columns.is_some() && names.is_empty() {
        return refuse(format!("{key} names no column"));
    }
    match (0..names.len()).find(|&at| names[..at].contains(&names[at])) {
        Some(at) => refuse(format!("{key} names column `{}` twice", names[at])),
        None => Ok(()),
    }
}

fn split_name(name: &str) -> Result<()> {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    if name.is_empty() || name.starts_with(['.', '_']) || !name.chars().all(plain) {
        return refuse(format!(
            "`{name}` is no name for a split: use letters, digits, `-`, `_` and `.`, and begin with a letter or digit"
        ));
    }
    if matches!(name, "metadata" | "signature") {
        return refuse(format!("`{name}` cannot be a split: the output has a file of that name"));
    }
    Ok(())
}

/// A kind as a recipe writes it.
fn name_of(kind: SplitKind) -> String {
    serde_json::to_value(kind).ok().and_then(|value| value.as_str().map(str::to_string)).unwrap_or_default()
}
