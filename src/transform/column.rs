//! One column on its way through the recipe. After every step it keeps what is exactly known of the values *then*, so that
//! the next step is exact too; what one pass over the data cannot know is refused.

use arrow::datatypes::DataType;

use super::Step;
use super::categories::{CategoryMap, assign, infrequent};
use super::impute::{Fill, Impute, fitted};
use super::observed::{self, Counted};
use super::one_hot::{MOST_COLUMNS, OneHot, Unknown};
use super::ordinal::{LabelMap, Ordinal};
use super::scale::{Affine, Scale};
use crate::error::{Error, Result, Site};
use crate::schema::is_number;
use crate::spec::{
    CategoryOrder, FloatType, ImputeStrategy, MinMaxScaler, OneHotDrop, OneHotEncoder, OneHotUnknown, OrdinalEncoder,
    Scalar, SimpleImputer, StandardScaler, Transform,
};
use crate::state::{ColumnState, Moments, Values};

/// A column on its way through the recipe.
pub(super) struct Column<'a> {
    pub(super) name: &'a str,
    state: &'a ColumnState,
    /// Type after the steps so far.
    pub(super) data_type: DataType,
    /// Missing values after the steps so far.
    missing: u64,
    known: Known,
    pub(super) steps: Vec<Step>,
    /// The op of the last step, for messages.
    last: &'static str,
    /// Names of the columns it becomes, if not just its own.
    pub(super) names: Option<Vec<String>>,
}

/// Why codes are not scaled.
const CODES: &str = "codes are not quantities; scale numeric columns only";

/// What is exactly known of a column's values.
enum Known {
    /// Everything: they are the input's, with so many of this value in place of the missing ones.
    Values { filled: Option<(Fill, u64)> },
    /// The input's, all of them numbers now, with the mean in place of the missing ones: moments, but no vocabulary.
    Mean { fill: f64, times: u64 },
    /// Their smallest and largest: scaling is monotone and keeps these, but rounds all others.
    Extremes(Option<(f64, f64)>),
    /// Nothing more: they are codes.
    Codes,
    /// The column is several now.
    Spread,
}

impl<'a> Column<'a> {
    pub(super) fn new(name: &'a str, data_type: &DataType, state: &'a ColumnState) -> Self {
        Self {
            name,
            state,
            data_type: data_type.clone(),
            missing: observed::missing(state),
            known: Known::Values { filled: None },
            steps: Vec::new(),
            last: "",
            names: None,
        }
    }

    /// Fits one more transform; true if it makes an indicator.
    pub(super) fn add(&mut self, transform: &Transform, float: FloatType) -> Result<bool> {
        let op = transform.op();
        if let Known::Spread = self.known {
            return Err(self.refuse(op, "one_hot_encoder makes several columns of it; put it last"));
        }
        observed::refuse_infinities(self.name, self.state, op)?;
        let with_indicator = match transform {
            Transform::StandardScaler(op) => self.standard(op, float)?,
            Transform::MinMaxScaler(op) => self.min_max(op, float)?,
            Transform::SimpleImputer(op) => return self.impute(op),
            Transform::OrdinalEncoder(op) => self.ordinal(op)?,
            Transform::OneHotEncoder(op) => self.one_hot(op)?,
            // Its columns are made already.
            Transform::Rename(_)
            | Transform::Cast(_)
            | Transform::Concat(_)
            | Transform::RowMax(_)
            | Transform::Coalesce(_)
            | Transform::Drop(_)
            | Transform::Keep(_) => return Ok(false),
        };
        self.last = op;
        Ok(with_indicator)
    }

    /// Steps that cannot follow one another.
    fn refuse(&self, op: &str, why: &str) -> Error {
        Error::Recipe(format!("column `{}` cannot pass through {op} after {}: {why}", self.name, self.last))
    }

    fn standard(&mut self, op: &StandardScaler, float: FloatType) -> Result<bool> {
        self.needs_numbers("standard_scaler")?;
        let Some(moments) = self.moments() else {
            let why = match self.known {
                Known::Codes => CODES,
                _ => {
                    "the exact mean and deviation of its result take another pass over the data; scale each column once"
                }
            };
            return Err(self.refuse("standard_scaler", why));
        };
        self.scale(Affine::standard(&moments, op.with_mean, op.with_std, op.ddof), float);
        Ok(false)
    }

    fn min_max(&mut self, op: &MinMaxScaler, float: FloatType) -> Result<bool> {
        self.needs_numbers("min_max_scaler")?;
        let Some(extremes) = self.extremes() else {
            return Err(self.refuse("min_max_scaler", CODES));
        };
        self.scale(Affine::min_max(extremes, op.feature_range, op.clip), float);
        Ok(false)
    }

    fn scale(&mut self, map: Affine, output: FloatType) {
        let step = Scale { map, output };
        let extremes = self.extremes().flatten().map(|(low, high)| (step.of(low), step.of(high)));
        self.known = Known::Extremes(extremes);
        self.data_type = step.data_type();
        self.steps.push(Step::Scale(step));
    }

    fn needs_numbers(&self, op: &str) -> Result<()> {
        if is_number(&self.data_type) || self.data_type == DataType::Boolean {
            return Ok(());
        }
        Err(Error::Recipe(format!(
            "{op} works on numbers, and column `{}` is {}; leave it out, or set its type in input.schema",
            self.name, self.data_type
        )))
    }

    /// Moments of the values now, if they are exactly known.
    fn moments(&self) -> Option<Moments> {
        let moments = observed::moments(self.state)?;
        match &self.known {
            Known::Values { filled: None } => Some(moments),
            Known::Values { filled: Some((fill, times)) } => Some(moments.with_repeated(fill.number()?, *times)),
            Known::Mean { fill, times } => Some(moments.with_repeated(*fill, *times)),
            Known::Extremes(_) | Known::Codes | Known::Spread => None,
        }
    }

    /// The outer option: whether they are known; the inner: whether there are values.
    fn extremes(&self) -> Option<Option<(f64, f64)>> {
        if let Known::Extremes(extremes) = self.known {
            return Some(extremes);
        }
        let moments = self.moments()?;
        Some(moments.min().zip(moments.max()))
    }

    fn impute(&mut self, op: &SimpleImputer) -> Result<bool> {
        let (fill, data_type) = match op.strategy {
            ImputeStrategy::Constant => (self.constant(op.fill_value.as_ref())?, self.data_type.clone()),
            ImputeStrategy::Mean => self.mean()?,
            ImputeStrategy::MostFrequent => {
                let most = self.counted("simple_imputer")?.most_frequent();
                (most.ok_or_else(|| self.nothing_to_impute_from("most frequent value"))?, self.data_type.clone())
            }
        };
        let already = self.steps.iter().any(|step| matches!(step, Step::Impute(_)));
        let indicator = op.add_indicator && self.missing > 0;
        self.last = "simple_imputer";
        // After an imputer nothing is missing, in this data or any other.
        if already {
            return Ok(false);
        }
        let missing = std::mem::take(&mut self.missing);
        match (&mut self.known, &fill) {
            (Known::Extremes(extremes), fill) if missing > 0 => {
                if let Some(value) = fill.number() {
                    let (low, high) = extremes.unwrap_or((value, value));
                    *extremes = Some((low.min(value), high.max(value)));
                }
            }
            (known @ Known::Values { .. }, Fill::Float(fill)) if op.strategy == ImputeStrategy::Mean => {
                *known = Known::Mean { fill: *fill, times: missing };
            }
            (Known::Values { filled: filled @ None }, fill) => *filled = Some((fill.clone(), missing)),
            _ => {}
        }
        self.data_type = data_type.clone();
        self.steps.push(Step::Impute(Impute { fill, data_type, indicator }));
        Ok(indicator)
    }

    /// `fill_value` as a value of the column, or scikit-learn's default for its type.
    fn constant(&self, value: Option<&Scalar>) -> Result<Fill> {
        let is_text = self.data_type == DataType::Utf8;
        let is_bool = self.data_type == DataType::Boolean;
        let fill = match value {
            Some(Scalar::Bool(value)) => Fill::Bool(*value),
            Some(Scalar::Int(value)) => Fill::Int(*value),
            Some(Scalar::Float(value)) => Fill::Float(*value),
            Some(Scalar::Text(value)) => Fill::Text(value.clone()),
            None if is_text => Fill::Text("missing_value".to_string()),
            None if is_bool => Fill::Bool(false),
            None => Fill::Int(0),
        };
        let shown = format!("{fill:?}");
        fitted(fill, &self.data_type).ok_or_else(|| {
            Error::Recipe(format!(
                "simple_imputer: the fill_value {shown} is no value of column `{}`, which is {}; change fill_value, or the \
                 column's type in input.schema",
                self.name, self.data_type
            ))
        })
    }

    /// The exact mean, rounded to the type of the result: floats keep theirs, all other numbers become Float64.
    fn mean(&self) -> Result<(Fill, DataType)> {
        if !is_number(&self.data_type) {
            return Err(Error::Recipe(format!(
                "simple_imputer with strategy \"mean\" works on numbers, and column `{}` is {}; use strategy \
                 \"most_frequent\" or \"constant\"",
                self.name, self.data_type
            )));
        }
        let data_type = if self.data_type.is_floating() { self.data_type.clone() } else { DataType::Float64 };
        let Some(moments) = self.moments() else {
            return Err(
                self.refuse("simple_imputer", "the mean of its result takes another pass over the data; impute first")
            );
        };
        let mean = moments.mean().ok_or_else(|| self.nothing_to_impute_from("mean"))?;
        let fill = fitted(Fill::Float(mean), &data_type).ok_or_else(|| {
            Error::data(Site::column(self.name), format!("the mean {mean} is too large for {data_type}"))
        })?;
        Ok((fill, data_type))
    }

    fn nothing_to_impute_from(&self, what: &str) -> Error {
        let message = format!(
            "no row has a value, so there is no {what} to impute; leave the column out, or use strategy = \"constant\""
        );
        Error::data(Site::column(self.name), message)
    }

    /// The categories of the values now.
    fn counted(&self, op: &str) -> Result<Counted> {
        let Known::Values { filled } = &self.known else {
            return Err(
                self.refuse(op, "the distinct values of its result are not known; encode, or impute by value, first")
            );
        };
        let counted = observed::counted(self.name, &self.data_type, self.state, op)?;
        Ok(match filled {
            Some((fill, times)) => counted.with_repeated(fill, *times),
            None => counted,
        })
    }

    fn ordinal(&mut self, op: &OrdinalEncoder) -> Result<bool> {
        let Counted { categories, counts } = self.counted("ordinal_encoder")?;
        let rare = infrequent(&counts, self.state.rows, op.min_frequency, op.max_categories);
        let mut order: Vec<usize> = (0..counts.len()).collect();
        if op.order == CategoryOrder::Frequency {
            order.sort_by_key(|at| std::cmp::Reverse(counts[*at]));
        }
        let (codes, total, infrequent) = assign(order, &rare);
        // scikit-learn lets unknown and missing values share the code of infrequent categories, and no other.
        let frequent = total - i32::from(infrequent.is_some());
        let taken = |parameter: &str, code: Option<i32>| match code.filter(|code| (0..frequent).contains(code)) {
            None => Ok(()),
            Some(code) => Err(Error::Recipe(format!(
                "ordinal_encoder: {parameter} = {code} is the code of a category of column `{}`, which has the codes 0 to \
                 {}; take a negative number, or one from {total} on",
                self.name,
                total - 1
            ))),
        };
        taken("unknown_value", op.unknown_value)?;
        taken("encoded_missing_value", op.encoded_missing_value.filter(|_| self.missing > 0))?;
        self.steps.push(Step::Ordinal(Ordinal {
            map: CategoryMap::new(categories, codes),
            infrequent,
            saw_missing: self.missing > 0,
            missing: op.encoded_missing_value,
            unknown: op.unknown_value,
        }));
        self.missing = if op.encoded_missing_value.is_some() { 0 } else { self.missing };
        self.data_type = DataType::Int32;
        self.known = Known::Codes;
        Ok(false)
    }

    fn one_hot(&mut self, op: &OneHotEncoder) -> Result<bool> {
        let Counted { categories, mut counts } = self.counted("one_hot_encoder")?;
        if self.missing > 0 {
            // A category of its own, the last, which can be infrequent like any other.
            counts.push(self.missing);
        }
        let rare = infrequent(&counts, self.state.rows, op.min_frequency, op.max_categories);
        let (mut codes, total, infrequent) = assign(0..counts.len(), &rare);
        let dropped = match op.drop {
            Some(OneHotDrop::First) if total > 0 => Some(0),
            Some(OneHotDrop::IfBinary) if total == 2 => Some(0),
            _ => None,
        };
        let single = matches!(self.data_type, DataType::Float32 | DataType::Float16);
        let width = total as usize;
        if width > MOST_COLUMNS {
            let message = format!(
                "one_hot_encoder would make {width} columns, more than {MOST_COLUMNS}; set max_categories or min_frequency, or \
                 use ordinal_encoder"
            );
            return Err(Error::data(Site::column(self.name), message));
        }
        let mut names = vec![format!("{}_infrequent_sklearn", self.name); width];
        for at in (0..counts.len()).filter(|at| !rare[*at]) {
            let category = if at < categories.len() { categories.name(at, single) } else { "nan".to_string() };
            names[codes[at] as usize] = format!("{}_{category}", self.name);
        }
        if dropped.is_some() {
            names.remove(0);
        }
        let missing = if self.missing > 0 { codes.pop() } else { None };
        let unknown = match (op.handle_unknown, infrequent) {
            (OneHotUnknown::Error, _) => Unknown::Refused,
            (OneHotUnknown::InfrequentIfExist, Some(code)) => Unknown::Code(code),
            (OneHotUnknown::InfrequentIfExist, None) | (OneHotUnknown::Ignore, _) => Unknown::Nothing,
        };
        let map = CategoryMap::new(categories, codes);
        self.steps.push(Step::OneHot(OneHot { map, missing, infrequent, dropped, codes: total, unknown }));
        self.missing = 0;
        self.data_type = DataType::UInt8;
        self.known = Known::Spread;
        self.names = Some(names);
        Ok(false)
    }

    pub(super) fn map_label(&mut self) -> Result<()> {
        if matches!(self.state.values, Values::Null) && self.state.rows > 0 {
            let message = format!("no row has a label: the column has no value in any of {} rows", self.state.rows);
            return Err(Error::data(Site::column(self.name), message));
        }
        let Counted { categories, .. } = self.counted("the label's mapping")?;
        let codes = (0..categories.len() as i32).collect();
        self.steps.push(Step::Label(LabelMap { map: CategoryMap::new(categories, codes) }));
        self.data_type = DataType::Int64;
        self.known = Known::Codes;
        Ok(())
    }
}
