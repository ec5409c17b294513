//! A country that reports: the units of Viet Nam before July 2025 as a catalogue folder, and what its offices submit.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Display, Formatter, Write};
use std::path::Path;

use clap::ValueEnum;
use tempfile::TempDir;
use tonghop_tests::{FORM, PERIOD};

/// `code,name,type,parent_code,level,name_ascii`, see the README beside it.
const NATIONAL_LIST: &str = include_str!("../../../crates/catalogue/tests/fixtures/national-list.csv");
const INDICATORS: &str = include_str!("../../../crates/catalogue/data/indicators.csv");
const DIMENSIONS: &str = include_str!("../../../crates/catalogue/data/dimensions.csv");

/// The province whose totals are read.
pub(crate) const PROVINCE: &str = "87";
/// Its two agencies, which report besides its twelve districts.
const AGENCIES: [&str; 2] = ["87-SLDTBXH", "87-TTBTXH"];

/// Who reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Reporters {
    /// 705 districts, with no units below.
    Districts,
    /// 10,599 communes of 700 districts; five have none.
    Communes,
    /// The 14 offices of one province, all other districts, and the communes of other provinces: so that a store can grow
    /// while that province's total stays the same.
    Growing,
}

/// A catalogue and those who report by it.
#[derive(Debug)]
pub(crate) struct Country {
    folder: TempDir,
    /// The codes of those who report, in the order in which they do.
    pub(crate) reporters: Vec<String>,
    /// The codes of the provinces.
    pub(crate) provinces: Vec<String>,
    /// The codes of districts below which nobody reports, when communes do.
    pub(crate) empty_districts: Vec<String>,
    /// For those who report, the province.
    pub(crate) province_of: BTreeMap<String, String>,
    /// What can be reported, with its kind.
    pub(crate) indicators: Vec<(String, Kind)>,
}

/// How an indicator is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Number,
    Flag,
    List,
    Text,
}

struct Unit {
    code: String,
    name: String,
    parent: String,
    level: String,
    name_en: String,
}

impl Country {
    /// Writes the catalogue; with the first `provinces` of the list only, if a number is given. The province whose totals
    /// are read is always among them.
    pub(crate) fn new(who: Reporters, provinces: Option<usize>) -> Self {
        let units = units(who, provinces);
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        write_files(folder.path(), who, &units);
        let level = |level: &'static str| {
            units
                .iter()
                .filter(move |unit| unit.level == level)
                .map(|unit| unit.code.clone())
        };
        let reporters = match who {
            Reporters::Districts => level("district").collect(),
            Reporters::Communes => level("commune").collect(),
            Reporters::Growing => growing(&units),
        };
        let parents: BTreeMap<&str, &str> = units
            .iter()
            .map(|unit| (unit.code.as_str(), unit.parent.as_str()))
            .collect();
        let province = |code: &String| {
            let mut at = code.as_str();
            while parents[at] != "VN" {
                at = parents[at];
            }
            (code.clone(), at.to_owned())
        };
        let parents_of_reporters: BTreeSet<&str> =
            reporters.iter().map(|code| parents[code.as_str()]).collect();
        let is_empty =
            |code: &String| who == Reporters::Communes && !parents_of_reporters.contains(code.as_str());
        Self {
            empty_districts: level("district").filter(is_empty).collect(),
            provinces: level("province").collect(),
            province_of: reporters.iter().map(province).collect(),
            reporters,
            indicators: indicators(),
            folder,
        }
    }

    /// The folder with the catalogue.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its reports, of so many figures each, on these periods.
    pub(crate) fn reports(&self, figures: usize, periods: &[String]) -> Reports {
        let indicators = self.indicators.iter().take(figures).cloned().collect();
        Reports {
            units: self.reporters.clone(),
            periods: periods.to_vec(),
            indicators,
        }
    }
}

/// The months of so many years that end with 2021; for one, the source report's.
pub(crate) fn months(count: usize) -> Vec<String> {
    if count == 1 {
        return vec![PERIOD.to_owned()];
    }
    let last = 2021 * 12 + 11;
    (0..count)
        .map(|back| last + 1 - count + back)
        .map(|month| format!("{}-{:02}", month / 12, month % 12 + 1))
        .collect()
}

/// What is submitted: one report a turn, unit after unit, then the next period; when all have reported, corrections.
#[derive(Clone, Debug)]
pub(crate) struct Reports {
    units: Vec<String>,
    pub(crate) periods: Vec<String>,
    indicators: Vec<(String, Kind)>,
}

impl Reports {
    /// How many there are before corrections begin.
    pub(crate) fn first_revisions(&self) -> u64 {
        (self.units.len() * self.periods.len()) as u64
    }

    /// The same of the first units only.
    pub(crate) fn of_first(mut self, units: usize) -> Self {
        self.units.truncate(units);
        self
    }

    /// The body of a turn's report. No two turns say the same.
    pub(crate) fn body(&self, turn: u64) -> String {
        let (unit, period) = self.about(turn);
        let mut body = format!(r#"{{"form":"{FORM}","period":"{period}","unit":"{unit}","figures":["#);
        for (at, (code, kind)) in self.indicators.iter().enumerate() {
            let comma = if at > 0 { "," } else { "" };
            let (field, figure) = (kind.field(), Figure::new(turn, at, *kind));
            // Writing into a string cannot fail.
            write!(body, r#"{comma}{{"indicator":"{code}","{field}":{figure}}}"#).ok();
        }
        body += "]}";
        body
    }

    /// What the country's totals are after the first report of each unit on the first period: the sums, or how many say
    /// yes; none for what is not added up.
    pub(crate) fn sums(&self) -> BTreeMap<String, Option<i64>> {
        let sum = |(at, (code, kind)): (usize, &(String, Kind))| {
            let sum = matches!(kind, Kind::Number | Kind::Flag).then(|| {
                let turns = 0..self.units.len() as u64;
                turns.map(|turn| Figure::new(turn, at, *kind).added()).sum()
            });
            (code.clone(), sum)
        };
        self.indicators.iter().enumerate().map(sum).collect()
    }

    fn about(&self, turn: u64) -> (&str, &str) {
        let (turn, units) = (turn as usize, self.units.len());
        (
            &self.units[turn % units],
            &self.periods[turn / units % self.periods.len()],
        )
    }
}

/// What is said of an indicator; as text, JSON.
#[derive(Clone, Copy, Debug)]
enum Figure {
    Number(u64),
    Flag(bool),
    /// Two items, of which the first is one of some.
    List(u64),
    Text,
}

impl Kind {
    /// Where a submission says it.
    fn field(self) -> &'static str {
        match self {
            Self::Number | Self::Flag => "value",
            Self::List => "items",
            Self::Text => "text",
        }
    }
}

impl Figure {
    /// The first figure of each report is a number that no other has.
    fn new(turn: u64, at: usize, kind: Kind) -> Self {
        let number = turn * 31 + at as u64 * 17;
        match kind {
            Kind::Number if at == 0 => Self::Number(turn),
            Kind::Number => Self::Number(number % 1000),
            Kind::Flag => Self::Flag(number.is_multiple_of(2)),
            Kind::List => Self::List(number % 40),
            Kind::Text => Self::Text,
        }
    }

    /// What it adds to a total.
    fn added(self) -> i64 {
        match self {
            Self::Number(number) => number.cast_signed(),
            Self::Flag(yes) => i64::from(yes),
            Self::List(_) | Self::Text => 0,
        }
    }
}

impl Display for Figure {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Flag(yes) => yes.fmt(f),
            Self::List(number) => write!(f, r#"["Khẩu hiệu {number}","Không để ai bị bỏ lại phía sau"]"#),
            Self::Text => f.write_str(
                r#""Công tác tuyên truyền được triển khai đúng kế hoạch, kịp thời và thiết thực.""#,
            ),
        }
    }
}

/// What the indicators' file lets units report, in its order.
fn indicators() -> Vec<(String, Kind)> {
    let mut reader = csv::Reader::from_reader(INDICATORS.as_bytes());
    let header = reader.headers().expect("a header").clone();
    let column = header
        .iter()
        .position(|name| name == "kind")
        .expect("a column of kinds");
    let rows = reader.records().map(|row| row.expect("a row"));
    rows.filter_map(|row| {
        let kind = match &row[column] {
            "flow" | "stock" => Kind::Number,
            "flag" => Kind::Flag,
            "list" => Kind::List,
            "text" => Kind::Text,
            _ => return None,
        };
        Some((row[0].to_owned(), kind))
    })
    .collect()
}

fn units(who: Reporters, provinces: Option<usize>) -> Vec<Unit> {
    let mut kept: BTreeMap<String, String> = BTreeMap::new();
    let mut units = Vec::new();
    let mut left = provinces.unwrap_or(usize::MAX).saturating_sub(1);
    for row in csv::Reader::from_reader(NATIONAL_LIST.as_bytes()).records() {
        let row = row.expect("a row of the list");
        let (code, level) = (row[0].to_owned(), row[4].to_owned());
        // A parent comes before its children in the list.
        let (parent, province) = match level.as_str() {
            "province" => {
                if code != PROVINCE {
                    if left == 0 {
                        continue;
                    }
                    left -= 1;
                }
                ("VN".to_owned(), code.clone())
            }
            _ => match kept.get(&row[3]) {
                Some(province) => (row[3].to_owned(), province.clone()),
                None => continue,
            },
        };
        let is_wanted = match (level.as_str(), who) {
            ("commune", Reporters::Districts) => false,
            ("commune", Reporters::Growing) => province != PROVINCE,
            _ => true,
        };
        if is_wanted {
            kept.insert(code.clone(), province);
            units.push(Unit {
                code,
                name: row[1].to_owned(),
                parent,
                level,
                name_en: row[5].to_owned(),
            });
        }
    }
    if who == Reporters::Growing {
        units.extend(AGENCIES.map(|code| Unit {
            code: code.to_owned(),
            name: code.to_owned(),
            parent: PROVINCE.to_owned(),
            level: "agency".to_owned(),
            name_en: code.to_owned(),
        }));
    }
    units
}

/// The offices of the one province, then the other districts, then the communes.
fn growing(units: &[Unit]) -> Vec<String> {
    let rank = |unit: &Unit| match unit.level.as_str() {
        "district" | "agency" if unit.parent == PROVINCE => Some(0),
        "district" => Some(1),
        "commune" => Some(2),
        _ => None,
    };
    let mut ranked: Vec<(u8, &str)> = units
        .iter()
        .filter_map(|unit| Some((rank(unit)?, unit.code.as_str())))
        .collect();
    ranked.sort_by_key(|(rank, _)| *rank);
    ranked.into_iter().map(|(_, code)| code.to_owned()).collect()
}

fn write_files(folder: &Path, who: Reporters, units: &[Unit]) {
    let mut csv = csv::Writer::from_path(folder.join("units.csv")).expect("a file can be made");
    let header = ["code", "name_vi", "name_en", "level", "parent_code", "valid_to"];
    csv.write_record(header).expect("a row is written");
    csv.write_record(["VN", "Việt Nam", "Viet Nam", "country", "", ""])
        .expect("a row is written");
    for unit in units {
        let Unit {
            code,
            name,
            parent,
            level,
            name_en,
        } = unit;
        csv.write_record([code, name, name_en, level, parent, "2025-07-01"])
            .expect("a row is written");
    }
    csv.flush().expect("the units are written");
    let levels = match who {
        Reporters::Districts => r#"["district"]"#,
        Reporters::Communes => r#"["commune"]"#,
        Reporters::Growing => r#"["district", "commune", "agency"]"#,
    };
    let form = format!(
        r#"
        [[form]]
        code = "{FORM}"
        version = 1
        name_vi = "Báo cáo tháng"
        name_en = "Monthly report"
        frequency = "monthly"
        calendar = "civil"
        due_days = 5
        utc_offset = "+07:00"
        reporting_levels = {levels}
        indicators = "all"
        "#
    );
    for (name, text) in [
        ("indicators.csv", INDICATORS),
        ("dimensions.csv", DIMENSIONS),
        ("forms.toml", &form),
    ] {
        std::fs::write(folder.join(name), text).expect("a file is written");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn the_country_has_its_units_and_the_growing_one_begins_with_one_province() {
        let districts = Country::new(Reporters::Districts, None);
        assert_eq!((districts.reporters.len(), districts.provinces.len()), (705, 63));
        let communes = Country::new(Reporters::Communes, None);
        assert_eq!(communes.reporters.len(), 10_599);
        assert_eq!(communes.empty_districts, ["318", "471", "498", "536", "755"]);
        let growing = Country::new(Reporters::Growing, None);
        let first = &growing.reporters[..14];
        assert!(
            first.iter().all(|code| growing.province_of[code] == PROVINCE),
            "{first:?}"
        );
        let others = &growing.reporters[14..];
        assert!(others.iter().all(|code| growing.province_of[code] != PROVINCE));
        assert!(others.len() >= 10_599 - 14);
        let few = Country::new(Reporters::Communes, Some(2));
        assert_eq!(few.provinces, ["01", PROVINCE]);
    }

    #[test]
    fn every_turn_says_something_new_about_the_next_unit_and_then_the_next_period() {
        let country = Country::new(Reporters::Districts, Some(1));
        let reports = country.reports(3, &months(2));
        assert_eq!(reports.first_revisions(), 24);
        let about = |turn| reports.about(turn);
        assert_eq!(about(0), ("866", "2021-11"));
        assert_eq!(about(11), ("877", "2021-11"));
        assert_eq!(about(12), ("866", "2021-12"));
        assert_eq!(about(24), ("866", "2021-11"));
        let bodies: BTreeSet<String> = (0..1000).map(|turn| reports.body(turn)).collect();
        assert_eq!(bodies.len(), 1000);
        let body: Value = serde_json::from_str(&reports.body(5)).unwrap();
        assert_eq!(body["figures"].as_array().unwrap().len(), 3);
    }

    #[test]
    fn the_sums_are_those_of_the_bodies() {
        let country = Country::new(Reporters::Districts, Some(1));
        let reports = country.reports(usize::MAX, &months(1));
        let sums = reports.sums();
        assert_eq!(sums.len(), 66);
        let mut added: BTreeMap<String, i64> = BTreeMap::new();
        for turn in 0..12 {
            let body: Value = serde_json::from_str(&reports.body(turn)).unwrap();
            for figure in body["figures"].as_array().unwrap() {
                let value = &figure["value"];
                let number = value.as_i64().unwrap_or(i64::from(value == &json!(true)));
                *added
                    .entry(figure["indicator"].as_str().unwrap().into())
                    .or_default() += number;
            }
        }
        for (code, sum) in sums {
            assert_eq!(sum.unwrap_or_default(), added[&code], "{code}");
        }
    }

    #[test]
    fn months_end_with_2021() {
        assert_eq!(months(1), ["2021-07"]);
        assert_eq!(months(60).first().map(String::as_str), Some("2017-01"));
        assert_eq!(months(60).last().map(String::as_str), Some("2021-12"));
    }
}
