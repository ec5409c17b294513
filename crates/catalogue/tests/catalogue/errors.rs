//! Every error in a catalogue is reported, with its file and line.

use tonghop_catalogue::load;

use crate::folder::{FILES, Folder, SMALL_FORM};

const INDICATOR_COLUMNS: &str =
    "code,name_vi,name_en,unit_vi,unit_en,kind,value_type,across_time,breakdowns,min,max,formula,note\n";

#[test]
fn all_errors_in_all_files_are_reported_with_their_lines() {
    let folder = Folder::small()
        .with(
            "units.csv",
            "code,name_vi,name_en,level,parent_code,valid_from,valid_to\n\
             VN,Việt Nam,Viet Nam,country,,,\n\
             01,Hà Nội,Ha Noi,province,99,,\n\
             02,Hà Giang,Ha Giang,county,VN,,\n\
             04,Cao Bằng,Cao Bang,province,VN,01/07/2021,\n\
             tp,Thành phố,City,province,VN,,\n",
        )
        .with(
            "dimensions.csv",
            "dimension,code,name_vi,name_en\nsex,nu,Nữ,female\nsex,nu,Nữ,women\nage,d10,,under 10\n",
        )
        .with(
            "indicators.csv",
            format!(
                "{INDICATOR_COLUMNS}\
                 A.1,Một,One,,,flow,count,sum,colour,0,,,\n\
                 A.2,Hai,Two,,,flows,count,sum,,zero,,,\n"
            ),
        )
        .with(
            "forms.toml",
            SMALL_FORM.replace("due_days = 5", "due_days = \"5\"\ncolour = \"red\""),
        );
    assert_eq!(
        folder.errors(),
        [
            "units.csv:3: the parent 99 does not exist on 1970-01-01, but this unit does",
            "units.csv:4: level: \"county\" is none of country, province, district, commune, agency",
            "units.csv:5: valid_from: \"01/07/2021\" is not a day: write 2021-07-31",
            "units.csv:6: code: \"tp\": a unit code has 1 to 32 characters out of A-Z, 0-9 and -",
            "dimensions.csv:3: the category nu of sex is defined twice",
            "dimensions.csv:4: name_vi is empty",
            "indicators.csv:2: the dimension colour does not exist",
            "indicators.csv:3: kind: \"flows\" is none of flow, stock, flag, list, text, ratio",
            "indicators.csv:3: min: \"zero\" is not a whole number",
            "forms.toml:9: due_days: must be a whole number from 0 to 366",
            "forms.toml:10: unknown key \"colour\"",
        ]
    );
}

#[test]
fn the_first_line_names_the_catalogue_and_the_number_of_errors() {
    let folder = Folder::small().with("dimensions.csv", "dimension,code,name_vi,name_en\nvalue,a,A,A\n");
    let folder = folder.with(
        "indicators.csv",
        format!("{INDICATOR_COLUMNS}A,Một,One,,,flow,count,sum,,,,,\n"),
    );
    let errors = folder.load().unwrap_err();
    assert_eq!(
        errors.to_string(),
        format!(
            "the catalogue in {} has 1 error:\ndimensions.csv:2: a dimension cannot be called value",
            folder.path().display()
        )
    );
    assert_eq!(errors.errors()[0].file, "dimensions.csv");
    assert_eq!(errors.errors()[0].line, Some(2));
}

#[test]
fn a_missing_file_is_one_error() {
    for name in FILES {
        let folder = Folder::small();
        std::fs::remove_file(folder.path().join(name)).unwrap();
        assert_eq!(folder.errors(), [format!("{name}: the file does not exist")]);
    }
    let nowhere = load(std::path::Path::new("/nowhere/at/all")).unwrap_err();
    assert_eq!(nowhere.errors().len(), 4);
}

#[test]
fn unknown_repeated_and_missing_columns_are_errors() {
    let folder = Folder::small().with("units.csv", "code,colour,name_vi,name,level\nVN,x,y,z,country\n");
    assert_eq!(
        folder.errors(),
        [
            "units.csv:1: unknown column \"colour\"",
            "units.csv:1: the column name_vi occurs twice",
            "units.csv:1: the column parent_code is missing",
        ]
    );
}

#[test]
fn empty_files_are_errors() {
    let folder = Folder::small()
        .with("units.csv", "code,name_vi,level,parent_code\n")
        .with("indicators.csv", INDICATOR_COLUMNS)
        .with("dimensions.csv", "")
        .with("forms.toml", "");
    assert_eq!(
        folder.errors(),
        [
            "units.csv: the file defines no unit",
            "dimensions.csv: the file is empty: the first line must name the columns",
            "indicators.csv: the file defines no indicator",
            "forms.toml: the file defines no form",
        ]
    );
}

#[test]
fn a_malformed_row_is_reported_with_its_first_line() {
    let text = "code,name_vi,name_en,level,parent_code\n\n\
         VN,Việt Nam,Viet Nam,country,\n\
         01,Hà Nội, thủ đô,Ha Noi,province,VN\n\n\
         02,Hà Giang,Ha Giang\n\
         04,\"Cao Bằng,Cao Bang,province,VN\n06,Bắc Kạn,Bac Kan,province,VN\n";
    let folder = Folder::small().with("units.csv", text);
    let errors = folder.errors();
    let at = |start: &str| errors.iter().filter(|error| error.starts_with(start)).count();
    assert!(
        at("units.csv:4: the row has 6 fields, the header 5") == 1,
        "{errors:#?}"
    );
    assert!(
        at("units.csv:6: the row has 3 fields, the header 5") == 1,
        "{errors:#?}"
    );
    assert!(at("units.csv:7: a field spans several lines") == 1, "{errors:#?}");
    assert!(
        errors.iter().all(|error| error.starts_with("units.csv:")),
        "{errors:#?}"
    );
    let other_line_ends = Folder::small().with("units.csv", text.replace('\n', "\r\n"));
    assert_eq!(other_line_ends.errors(), errors);
}

#[test]
fn invalid_utf_8_is_reported_with_its_line() {
    let folder = Folder::small().with(
        "dimensions.csv",
        b"dimension,code,name_vi,name_en\nsex,nu,N\xfb,female\n",
    );
    assert_eq!(
        folder.errors(),
        ["dimensions.csv:2: the text is not UTF-8: save the file as UTF-8"]
    );
}

#[test]
fn a_unit_that_breaks_the_tree_is_reported_once() {
    let folder = Folder::small().with(
        "units.csv",
        "code,name_vi,level,parent_code,valid_from,valid_to\n\
         VN,Việt Nam,country,,,\n\
         LA,Lào,country,,,\n\
         01,Một,province,VN,,2021-01-01\n\
         01,Một nữa,province,VN,2020-01-01,\n\
         02,Hai,province,03,,\n\
         03,Ba,province,02,,\n\
         04,Bốn,province,VN,2021-01-01,2021-01-01\n",
    );
    assert_eq!(
        folder.errors(),
        [
            "units.csv:3: only one unit may have no parent: the root",
            "units.csv:5: another unit has this code on the same day",
            "units.csv:6: the unit is its own ancestor",
            "units.csv:7: the unit is its own ancestor",
            "units.csv:8: valid_to 2021-01-01 is not after valid_from 2021-01-01",
        ]
    );
}

#[test]
fn conflicting_indicators_are_reported() {
    let folder = Folder::small().with(
        "indicators.csv",
        format!(
            "{INDICATOR_COLUMNS}\
             A.1,Một,One,,,flow,count,sum,sex sex SEX,5,4,,\n\
             A.1,Hai,Two,,,flag,count,daily,sex,,,,\n\
             A.3,Ba,Three,,,ratio,percent,recompute,,,,100*A.1/A.9,\n\
             A.4,Bốn,Four,,,ratio,percent,recompute,,,,A.1/A.1,\n\
             A.5,Năm,Five,,,text,text,last,,,,100*A.1/A.1,\n"
        ),
    );
    assert_eq!(
        folder.errors(),
        [
            "indicators.csv:2: breakdowns: sex is listed twice",
            "indicators.csv:2: breakdowns: \"SEX\": a dimension code has 1 to 32 characters out of a-z, 0-9 and _",
            "indicators.csv:2: min 5 is above max 4",
            "indicators.csv:3: across_time: \"daily\" is none of sum, last, max, any, union_ordered, recompute",
            "indicators.csv:3: the indicator A.1 is defined twice",
            "indicators.csv:3: a flag cannot have breakdowns",
            "indicators.csv:4: the indicator A.9 in the formula does not exist",
            "indicators.csv:5: formula: \"A.1/A.1\" is not of the form 100*HT.NG/NN.XD",
            "indicators.csv:6: formula: a text has no formula",
            "forms.toml:2: the form contains the indicator A.1 twice",
            "forms.toml:2: A.3 is computed from A.9, which is not on the form",
        ]
    );
}

#[test]
fn errors_of_forms_have_the_line_of_the_key_or_the_table() {
    let second = SMALL_FORM
        .replace(
            "calendar = \"civil\"\n",
            "calendar = \"lunar\"\nperiods = [7, 13, 0]\n",
        )
        .replace("\"+07:00\"", "\"7\"")
        .replace(
            "[\"country\"]",
            "[\"country\", 3]\nreporting_units = [\n  \"VN\",\n  \"99\",\n]",
        )
        .replace("\"all\"", "[\"A.1\", \"A.2\"]")
        .replace("name_en", "name_fr");
    let folder = Folder::small().with("forms.toml", format!("{SMALL_FORM}{second}"));
    assert_eq!(
        folder.errors(),
        [
            "forms.toml:14: the key name_en is missing",
            "forms.toml:14: version 1 of the form mau-1 is defined twice",
            "forms.toml:18: unknown key \"name_fr\"",
            "forms.toml:20: calendar: \"lunar\" is none of civil, decree-09-2019",
            "forms.toml:21: periods: must be a whole number from 1 to 255",
            "forms.toml:23: utc_offset: \"7\" is not an offset from UTC: write +07:00",
            "forms.toml:24: reporting_levels: must be a text in quotation marks",
            "forms.toml:29: indicators: the indicator \"A.2\" does not exist",
        ]
    );
    let lone = SMALL_FORM.replace(
        "reporting_levels = [\"country\"]",
        "periods = [13]\nreporting_units = [\"99\"]",
    );
    let folder = Folder::small().with("forms.toml", lone);
    assert_eq!(
        folder.errors(),
        [
            "forms.toml:2: the reporting unit 99 does not exist",
            "forms.toml:2: a year has no period 13 at this frequency",
        ]
    );
}

#[test]
fn invalid_toml_is_reported_with_its_line() {
    let folder = Folder::small().with("forms.toml", "# forms\n[[form]]\ncode = mau-1\n");
    let errors = folder.errors();
    assert!(errors[0].starts_with("forms.toml:3: "), "{errors:?}");
    let folder = Folder::small().with("forms.toml", "[form]\ncode = \"a\"\n[other]\n");
    assert_eq!(
        folder.errors(),
        [
            "forms.toml:1: write [[form]], in double brackets, above each form",
            "forms.toml:3: the key \"other\" is not part of a form",
        ]
    );
}

#[test]
fn forms_with_different_time_zones_are_reported() {
    let other = SMALL_FORM.replace("mau-1", "mau-2").replace("+07:00", "+08:00");
    let folder = Folder::small().with("forms.toml", format!("{SMALL_FORM}{other}"));
    assert_eq!(
        folder.errors(),
        ["forms.toml:14: utc_offset is +08:00, but +07:00 in the first form: a catalogue has one time zone"]
    );
    let invalid = SMALL_FORM.replace("mau-1", "mau-2").replace("+07:00", "7");
    let folder = Folder::small().with("forms.toml", format!("{invalid}{SMALL_FORM}"));
    assert_eq!(
        folder.errors(),
        ["forms.toml:10: utc_offset: \"7\" is not an offset from UTC: write +07:00"]
    );
}

#[test]
fn a_rule_about_expected_reporters_names_reported_indicators_and_reporting_units() {
    let rules = "\
[[form.expect]]
indicators = [\"A.1\", \"A.9\", \"A.*\", \"C*\", 5]
levels = [\"commune\", \"communes\"]
units = [\"VN\", \"99\"]

[[form.expect]]
indicators = [\"A.1\"]

[[form.expect]]
indicators = \"all\"
units = []
who = \"all\"
";
    let folder = Folder::small().with("forms.toml", format!("{SMALL_FORM}\n{rules}"));
    assert_eq!(
        folder.errors(),
        [
            "forms.toml:14: the indicator A.9 is not on the form",
            "forms.toml:14: no unit of the level commune reports the form",
            "forms.toml:14: the unit 99 does not report the form",
            "forms.toml:15: indicators: no indicator of the form begins with \"C\"",
            "forms.toml:15: indicators: must be a text in quotation marks",
            "forms.toml:16: levels: \"communes\" is none of country, province, district, commune, agency",
            "forms.toml:19: state levels or units; units = [] expects the indicators of no unit",
            "forms.toml:23: indicators: must be a list of texts",
            "forms.toml:25: unknown key \"who\"",
        ]
    );
    let other = SMALL_FORM.replace("indicators = \"all\"", "indicators = \"all\"\nexpect = \"all\"");
    assert_eq!(
        Folder::small().with("forms.toml", other).errors(),
        ["forms.toml:13: expect: must be a table: write [[form.expect]] above its keys"]
    );
}

#[test]
fn a_ratio_is_expected_of_nobody() {
    let indicators = format!(
        "{INDICATOR_COLUMNS}\
         A.1,Một,One,,,flow,count,sum,,0,,,\n\
         A.2,Hai,Two,,,ratio,percent,recompute,,,,100*A.1/A.1,\n"
    );
    let with = |pattern: &str| {
        let rule =
            format!("{SMALL_FORM}\n[[form.expect]]\nindicators = [\"{pattern}\"]\nlevels = [\"country\"]\n");
        Folder::small()
            .with("indicators.csv", &indicators)
            .with("forms.toml", rule)
    };
    assert_eq!(
        with("A.2").errors(),
        ["forms.toml:14: A.2 is computed, so no unit reports it"]
    );
    let catalogue = with("A.*").load().unwrap();
    assert_eq!(catalogue.forms()[0].expectations[0].indicators.len(), 1);
}

#[test]
fn a_check_compares_numbers_of_the_form() {
    let checks = "\
[[form.check]]
rule = \"A.1 <= A.9 + A.1[sex=nam] + A.1[age=nu]\"
severity = \"warning\"
text_vi = \"Một\"
text_en = \"One\"

[[form.check]]
rule = \"A.1\"
severity = \"hint\"
text_vi = \"\"

[[form.check]]
rule = \"A.8 answered when A.1[sex=nu] > 0\"
severity = \"error\"
text_vi = \"Hai\"
text_en = \"Two\"
";
    let folder = Folder::small().with("forms.toml", format!("{SMALL_FORM}\n{checks}"));
    assert_eq!(
        folder.errors(),
        [
            "forms.toml:14: the indicator A.9 is not on the form",
            "forms.toml:14: sex has no category nam",
            "forms.toml:14: A.1 cannot be broken down by age",
            "forms.toml:20: the key text_en is missing",
            "forms.toml:21: rule: \"A.1\" is no condition: write A <= B with =, <=, >=, < or >, or A answered",
            "forms.toml:22: severity: \"hint\" is none of warning, error",
            "forms.toml:23: text_vi: the text is empty",
            "forms.toml:25: the indicator A.8 is not on the form",
        ]
    );
}

#[test]
fn a_file_that_cannot_be_read_causes_no_errors_in_rules() {
    for name in ["units.csv", "indicators.csv", "dimensions.csv"] {
        let errors = Folder::like_built_in().with(name, "").errors();
        assert!(errors.iter().all(|error| error.starts_with(name)), "{errors:?}");
    }
}
