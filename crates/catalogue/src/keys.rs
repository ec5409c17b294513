//! The keys of one table of a TOML file, taken one by one, with every fault and its line.

use std::collections::HashSet;

use chrono::NaiveDate;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::fault::{Faults, line_at};

/// Reads a table. Keys that nobody took are faults at the end.
pub(crate) struct Keys<'a> {
    text: &'a str,
    line: u64,
    entries: &'a DeTable<'a>,
    taken: HashSet<&'static str>,
    faults: &'a mut Faults,
}

impl<'a> Keys<'a> {
    pub(crate) fn new(text: &'a str, line: u64, entries: &'a DeTable<'a>, faults: &'a mut Faults) -> Self {
        Self {
            text,
            line,
            entries,
            taken: HashSet::new(),
            faults,
        }
    }

    pub(crate) fn fault_count(&self) -> usize {
        self.faults.count()
    }

    /// Tells a fault of the table as a whole.
    pub(crate) fn fault(&mut self, detail: impl Into<String>) {
        self.faults.add(self.line, detail);
    }

    /// Tells of every key that nobody took, and gives the line of the table.
    pub(crate) fn finish(self) -> u64 {
        for (key, _) in self.entries {
            if !self.taken.contains(key.get_ref().as_ref()) {
                let line = line_at(self.text.as_bytes(), key.span().start);
                self.faults
                    .add(line, format!("a form has no key {:?}", key.get_ref()));
            }
        }
        self.line
    }

    /// A text that must be there.
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

    /// A whole number that must be there.
    pub(crate) fn integer(&mut self, key: &'static str, min: i64, max: i64) -> Option<i64> {
        let value = self.required(key)?;
        self.whole_number(key, value, min, max)
    }

    /// A day, if the key is there, with or without quotation marks.
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

    /// A list of numbers of periods, if the key is there.
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

    /// A list of texts, if the key is there.
    pub(crate) fn texts<T>(
        &mut self,
        key: &'static str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Option<Vec<T>> {
        let value = self.find(key)?;
        self.list(key, value, "a list of texts", read)
    }

    /// A list of texts that must be there; none for the word `all`, or when it cannot be read.
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
            self.tell(value, format!("{key}: the list is empty"));
        }
        Some(list)
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
            self.fault(format!("the key {key} is missing"));
        }
        value
    }

    fn find(&mut self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.taken.insert(key);
        self.entries.get(key)
    }

    fn checked<T>(&mut self, key: &str, value: &Spanned<DeValue<'_>>, read: Result<T, String>) -> Option<T> {
        read.map_err(|detail| self.tell(value, format!("{key}: {detail}")))
            .ok()
    }

    fn wrong<T>(&mut self, key: &str, value: &Spanned<DeValue<'_>>, expected: &str) -> Option<T> {
        self.tell(value, format!("{key}: this must be {expected}"));
        None
    }

    fn tell(&mut self, value: &Spanned<DeValue<'_>>, detail: String) {
        self.faults
            .add(line_at(self.text.as_bytes(), value.span().start), detail);
    }
}
