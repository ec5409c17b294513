//! One table of a TOML file: reads its keys and collects errors with their lines.

use std::collections::HashSet;

use chrono::NaiveDate;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::error::{FileErrors, line_at};

/// A table that is being read. Keys that were not read are errors in the end.
pub(crate) struct TomlTable<'a> {
    text: &'a str,
    line: u64,
    entries: &'a DeTable<'a>,
    read_keys: HashSet<&'static str>,
    errors: &'a mut FileErrors,
}

impl<'a> TomlTable<'a> {
    pub(crate) fn new(
        text: &'a str,
        line: u64,
        entries: &'a DeTable<'a>,
        errors: &'a mut FileErrors,
    ) -> Self {
        Self {
            text,
            line,
            entries,
            read_keys: HashSet::new(),
            errors,
        }
    }

    pub(crate) fn error_count(&self) -> usize {
        self.errors.count()
    }

    /// Adds an error of the whole table.
    pub(crate) fn error(&mut self, detail: impl Into<String>) {
        self.errors.add(self.line, detail);
    }

    /// Adds an error for every key that was not read, and returns the line of the table.
    pub(crate) fn finish(self) -> u64 {
        for (key, _) in self.entries {
            if !self.read_keys.contains(key.get_ref().as_ref()) {
                let line = line_at(self.text.as_bytes(), key.span().start);
                self.errors.add(line, format!("unknown key {:?}", key.get_ref()));
            }
        }
        self.line
    }

    /// A required text.
    pub(crate) fn text<T>(
        &mut self,
        key: &'static str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let value = self.required(key)?;
        match value.get_ref().as_str() {
            Some(text) => self.checked(key, value, read(text)),
            None => self.wrong(key, value, "a text in quotation marks"),
        }
    }

    /// A required whole number.
    pub(crate) fn integer(&mut self, key: &'static str, min: i64, max: i64) -> Option<i64> {
        let value = self.required(key)?;
        self.whole_number(key, value, min, max)
    }

    /// An optional whole number.
    pub(crate) fn optional_integer(&mut self, key: &'static str, min: i64, max: i64) -> Option<i64> {
        let value = self.find(key)?;
        self.whole_number(key, value, min, max)
    }

    /// An optional day, with or without quotation marks.
    pub(crate) fn day(
        &mut self,
        key: &'static str,
        read: impl Fn(&str) -> Result<NaiveDate, String>,
    ) -> Option<NaiveDate> {
        let value = self.find(key)?;
        match value.get_ref() {
            DeValue::String(text) => self.checked(key, value, read(text)),
            DeValue::Datetime(time) => self.checked(key, value, read(&time.to_string())),
            _ => self.wrong(key, value, "a day"),
        }
    }

    /// An optional list of period numbers.
    pub(crate) fn numbers(&mut self, key: &'static str) -> Option<Vec<u8>> {
        let value = self.find(key)?;
        let Some(items) = value.get_ref().as_array() else {
            return self.wrong(key, value, "a list of numbers");
        };
        let mut numbers = Vec::new();
        for item in items {
            let number = self.whole_number(key, item, 1, i64::from(u8::MAX));
            numbers.extend(number.and_then(|number| u8::try_from(number).ok()));
        }
        Some(numbers)
    }

    /// An optional list of texts.
    pub(crate) fn texts<T>(
        &mut self,
        key: &'static str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Option<Vec<T>> {
        let value = self.find(key)?;
        self.list(key, value, "a list of texts", read)
    }

    /// A required list of texts.
    pub(crate) fn required_texts<T>(
        &mut self,
        key: &'static str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Option<Vec<T>> {
        let value = self.required(key)?;
        self.list(key, value, "a list of texts", read)
    }

    /// Whether the table has a key.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// A required list of texts; none for the word `all` or an invalid list.
    pub(crate) fn all_or_texts<T>(
        &mut self,
        key: &'static str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Option<Vec<T>> {
        let value = self.required(key)?;
        if value.get_ref().as_str() == Some("all") {
            return None;
        }
        let list = self.list(key, value, "\"all\" or a list of codes", read)?;
        if value.get_ref().as_array().is_some_and(|items| items.is_empty()) {
            self.add_at(value, format!("{key}: the list is empty"));
        }
        Some(list)
    }

    /// Optional tables below this one, each under `[[form.key]]`.
    pub(crate) fn tables<T>(&mut self, key: &'static str, read: impl Fn(TomlTable<'_>) -> T) -> Vec<T> {
        let Some(value) = self.find(key) else {
            return Vec::new();
        };
        let DeValue::Array(tables) = value.get_ref() else {
            self.wrong::<()>(
                key,
                value,
                &format!("a table: write [[form.{key}]] above its keys"),
            );
            return Vec::new();
        };
        let mut all = Vec::new();
        for table in tables {
            let line = line_at(self.text.as_bytes(), table.span().start);
            match table.get_ref() {
                DeValue::Table(entries) => {
                    all.push(read(TomlTable::new(self.text, line, entries, self.errors)));
                }
                _ => drop(self.wrong::<()>(
                    key,
                    table,
                    &format!("a table: write [[form.{key}]] above its keys"),
                )),
            }
        }
        all
    }

    fn list<T>(
        &mut self,
        key: &str,
        value: &Spanned<DeValue<'_>>,
        expected: &str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Option<Vec<T>> {
        let Some(items) = value.get_ref().as_array() else {
            return self.wrong(key, value, expected);
        };
        let mut list = Vec::new();
        for item in items {
            match item.get_ref().as_str() {
                Some(text) => list.extend(self.checked(key, item, read(text))),
                None => list.extend(self.wrong(key, item, "a text in quotation marks")),
            }
        }
        Some(list)
    }

    fn whole_number(&mut self, key: &str, value: &Spanned<DeValue<'_>>, min: i64, max: i64) -> Option<i64> {
        let number = value
            .get_ref()
            .as_integer()
            .and_then(|number| i64::from_str_radix(number.as_str(), number.radix()).ok())
            .filter(|number| (min..=max).contains(number));
        match number {
            Some(number) => Some(number),
            None => self.wrong(key, value, &format!("a whole number from {min} to {max}")),
        }
    }

    fn required(&mut self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        let value = self.find(key);
        if value.is_none() {
            self.error(format!("the key {key} is missing"));
        }
        value
    }

    fn find(&mut self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.read_keys.insert(key);
        self.entries.get(key)
    }

    fn checked<T>(&mut self, key: &str, value: &Spanned<DeValue<'_>>, read: Result<T, String>) -> Option<T> {
        read.map_err(|detail| self.add_at(value, format!("{key}: {detail}")))
            .ok()
    }

    fn wrong<T>(&mut self, key: &str, value: &Spanned<DeValue<'_>>, expected: &str) -> Option<T> {
        self.add_at(value, format!("{key}: must be {expected}"));
        None
    }

    fn add_at(&mut self, value: &Spanned<DeValue<'_>>, detail: String) {
        self.errors
            .add(line_at(self.text.as_bytes(), value.span().start), detail);
    }
}
