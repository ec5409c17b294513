//! All kinds of periods, in all years.

use std::collections::BTreeSet;

use tonghop_domain::{Calendar, Frequency, Period};

fn periods_of(year: u32) -> Vec<String> {
    let mut all: Vec<String> = (1..=12).map(|month| format!("{year}-{month:02}")).collect();
    all.extend((1..=4).map(|quarter| format!("{year}-Q{quarter}")));
    all.extend((1..=2).map(|half| format!("{year}-H{half}")));
    all.extend([format!("{year}-9M"), format!("{year}")]);
    all
}

#[test]
fn every_period_is_parsed_and_formatted_alike_and_distinct() {
    let mut seen = BTreeSet::new();
    for year in [2000, 2021, 2199] {
        for text in periods_of(year) {
            let period: Period = text.parse().unwrap();
            assert_eq!(period.to_string(), text);
            assert_eq!(period.year(), i32::try_from(year).unwrap());
            assert!(seen.insert(period), "{text}");
        }
    }
    assert_eq!(seen.len(), 3 * 20);
    assert!("2200".parse::<Period>().is_err());
}

#[test]
fn periods_of_one_frequency_have_no_gaps_in_either_calendar() {
    for calendar in [Calendar::Civil, Calendar::Decree09] {
        for frequency in [
            Frequency::Monthly,
            Frequency::Quarterly,
            Frequency::HalfYearly,
            Frequency::Yearly,
        ] {
            let mut periods: Vec<Period> = (2019..2025)
                .flat_map(periods_of)
                .map(|text| text.parse().unwrap())
                .filter(|period: &Period| period.frequency() == frequency)
                .collect();
            periods.sort();
            for pair in periods.windows(2) {
                assert_eq!(
                    pair[0].last_day(calendar).succ_opt(),
                    Some(pair[1].first_day(calendar)),
                    "{pair:?}"
                );
            }
        }
    }
}

#[test]
fn the_number_of_a_period_counts_within_its_year() {
    let number = |text: &str| text.parse::<Period>().unwrap().number();
    assert_eq!(
        ["2021", "2021-9M", "2021-H2", "2021-Q3", "2021-12"].map(number),
        [1, 1, 2, 3, 12]
    );
}

proptest::proptest! {
    #[test]
    fn any_text_is_an_unchanged_period_or_rejected(text in "[\\PC]{0,9}|2[01][0-9]{2}(-[0-9HQM]{1,2})?") {
        if let Ok(period) = text.parse::<Period>() {
            proptest::prop_assert_eq!(period.to_string(), text);
        }
    }
}

#[test]
fn all_periods_can_be_parsed_and_are_distinct() {
    let all: Vec<Period> = Period::all().collect();
    assert_eq!(all.len(), 200 * (1 + 2 + 4 + 1 + 12));
    let mut distinct = all.clone();
    distinct.sort();
    distinct.dedup();
    assert_eq!(distinct.len(), all.len());
    assert!(all.iter().all(|period| period.to_string().parse() == Ok(*period)));
}
