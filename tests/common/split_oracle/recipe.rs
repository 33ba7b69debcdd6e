//! What a recipe asks for, read from its JSON without the engine's types.

use serde_json::Value;

use super::super::calendar;
use super::cuts::Shares;

/// How rows are assigned; `kfold` is one of the others, with equal shares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    None,
    Random,
    Stratified,
    Grouped,
    StratifiedGrouped,
    Temporal,
    TemporalQuantile,
}

/// One size of `split.sizes`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Size {
    Share(f64),
    Count(u64),
}

/// `[dedupe]`
#[derive(Debug, Clone)]
pub struct Keep {
    pub key: Vec<String>,
    pub order_by: Vec<String>,
    pub last: bool,
}

#[derive(Debug, Clone)]
pub struct Settings {
    pub kind: Kind,
    /// Name of the one split, where there is one.
    pub name: String,
    pub sizes: Vec<(String, Size)>,
    pub rest_dropped: bool,
    pub label: Option<String>,
    pub stratify: Vec<String>,
    pub groups: Vec<String>,
    pub missing_groups_own: bool,
    group_sizes: Option<String>,
    pub key: Vec<String>,
    pub random_state: u64,
    pub time: Option<String>,
    /// The cutoff and the gap before it: nanoseconds, or integers.
    pub cutoff: Option<(i128, i128)>,
    /// Places of splits in `sizes`.
    pub oot_exclude: Vec<usize>,
    pub fold_column: Option<String>,
    pub dedupe: Option<Keep>,
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_string)
}

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Null => Vec::new(),
        Value::String(one) => vec![one.clone()],
        several => several.as_array().unwrap().iter().map(|one| text(one).unwrap()).collect(),
    }
}

impl Settings {
    pub fn read(recipe: &Value) -> Self {
        let split = &recipe["split"];
        let label = text(&recipe["label"]["column"]);
        let stratify = texts(&split["stratify"]);
        let groups = texts(&split["groups"]);
        let kind = match split["kind"].as_str().unwrap_or("none") {
            "none" => Kind::None,
            "random" => Kind::Random,
            "stratified" => Kind::Stratified,
            "grouped" => Kind::Grouped,
            "stratified_grouped" => Kind::StratifiedGrouped,
            "temporal" => Kind::Temporal,
            "temporal_quantile" => Kind::TemporalQuantile,
            "kfold" => match (stratify.is_empty(), groups.is_empty()) {
                (true, true) => Kind::Random,
                (false, true) => Kind::Stratified,
                (true, false) => Kind::Grouped,
                (false, false) => Kind::StratifiedGrouped,
            },
            other => panic!("{other}"),
        };
        let sizes = if split["kind"] == "kfold" {
            let folds = split["folds"].as_u64().unwrap_or(5);
            // Equal shares, whatever they are: `shares` knows.
            (0..folds).map(|fold| (format!("fold-{fold}"), Size::Share(f64::NAN))).collect()
        } else {
            sizes(&split["sizes"])
        };
        let excluded = match &split["oot_exclude"] {
            Value::Null => vec![0],
            names => {
                texts(names).iter().map(|name| sizes.iter().position(|(split, _)| split == name).unwrap()).collect()
            }
        };
        let dedupe = recipe.get("dedupe").filter(|keep| !keep.is_null()).map(|keep| Keep {
            key: texts(&keep["key"]),
            order_by: texts(&keep["order_by"]),
            last: keep["keep"] == "last",
        });
        Self {
            kind,
            name: text(&split["name"]).unwrap_or("data".into()),
            sizes,
            rest_dropped: split["rest"] == "drop",
            stratify: if stratify.is_empty() { label.iter().cloned().collect() } else { stratify },
            label,
            groups,
            missing_groups_own: split["missing_groups"] == "own",
            group_sizes: text(&split["group_sizes"]),
            key: texts(&split["key"]),
            random_state: split["random_state"].as_u64().unwrap_or(42),
            time: text(&split["time"]),
            cutoff: cutoff(split),
            oot_exclude: excluded,
            fold_column: text(&split["fold_column"]),
            dedupe,
        }
    }

    /// Whether groups are looked at.
    pub fn is_grouped(&self) -> bool {
        matches!(self.kind, Kind::Grouped | Kind::StratifiedGrouped | Kind::Temporal)
    }

    /// Whether sizes are groups, not rows.
    pub fn counts_groups(&self, by_default: bool) -> bool {
        self.group_sizes.as_ref().map_or(by_default, |of| of == "groups")
    }

    pub fn weights(&self, groups: &[Vec<usize>], by_default: bool) -> Vec<u64> {
        let of_one = self.counts_groups(by_default);
        groups.iter().map(|rows| if of_one { 1 } else { rows.len() as u64 }).collect()
    }

    pub fn names(&self) -> Vec<String> {
        match self.kind {
            Kind::None => vec![self.name.clone()],
            _ => {
                let oot = (self.kind == Kind::Temporal).then(|| "oot".to_string());
                self.sizes.iter().map(|(name, _)| name.clone()).chain(oot).collect()
            }
        }
    }

    /// What each split takes of `all` rows or groups, and the rest after them when it is dropped.
    pub fn shares(&self, all: u64) -> Result<Shares, String> {
        if self.sizes.iter().any(|(_, size)| matches!(size, Size::Share(share) if share.is_nan())) {
            return Ok(Shares { parts: vec![1; self.sizes.len()], whole: self.sizes.len() as u64 });
        }
        let counts: Option<Vec<u64>> = self
            .sizes
            .iter()
            .map(|(_, size)| if let Size::Count(count) = size { Some(*count) } else { None })
            .collect();
        let (mut parts, whole) = match counts {
            Some(counts) => (counts, all),
            None => decimals(&self.sizes),
        };
        let sum: u64 = parts.iter().sum();
        if sum > whole || (sum < whole && !self.rest_dropped) {
            return Err(format!("sizes sum to {sum} of {whole}"));
        }
        if self.rest_dropped {
            parts.push(whole - sum);
        }
        Ok(Shares { parts, whole })
    }
}

/// All integers are counts; a single 1 is the share 1.
fn sizes(sizes: &Value) -> Vec<(String, Size)> {
    let Some(sizes) = sizes.as_object() else {
        return [("train", 0.7), ("test", 0.15), ("val", 0.15)].map(|(name, r)| (name.into(), Size::Share(r))).to_vec();
    };
    let is_one = sizes.len() == 1 && sizes.values().all(|size| size.as_u64() == Some(1));
    let counted = !is_one && sizes.values().all(Value::is_u64);
    let size = |size: &Value| match counted {
        true => Size::Count(size.as_u64().unwrap()),
        false => Size::Share(size.as_f64().unwrap()),
    };
    sizes.iter().map(|(name, value)| (name.clone(), size(value))).collect()
}

/// Shares as the decimals they are written as, over one power of ten.
fn decimals(sizes: &[(String, Size)]) -> (Vec<u64>, u64) {
    let written = |size: &Size| match size {
        Size::Share(share) => share.to_string(),
        Size::Count(count) => count.to_string(),
    };
    let texts: Vec<String> = sizes.iter().map(|(_, size)| written(size)).collect();
    let places = texts.iter().filter_map(|text| Some(text.split_once('.')?.1.len())).max().unwrap_or(0);
    let part = |text: &String| {
        let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
        format!("{whole}{decimals:0<places$}").parse().unwrap()
    };
    (texts.iter().map(part).collect(), 10u64.pow(places as u32))
}

fn cutoff(split: &Value) -> Option<(i128, i128)> {
    let nanos = |micros: i64| i128::from(micros) * 1000;
    let cutoff = match &split["cutoff"] {
        Value::Null => return None,
        Value::String(text) => nanos(calendar::parse(text)),
        number => i128::from(number.as_i64().unwrap()),
    };
    let gap = match &split["gap"] {
        Value::Null => 0,
        Value::String(text) => nanos(calendar::span(text)),
        number => i128::from(number.as_i64().unwrap()),
    };
    Some((cutoff, gap))
}
