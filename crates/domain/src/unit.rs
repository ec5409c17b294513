//! Units and the tree that they form on a day.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::NaiveDate;

use crate::{UnitCode, UnitId};

/// A name in the two languages of the interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// In Vietnamese.
    pub vi: String,
    /// In English.
    pub en: String,
}

/// Where an office stands in the administration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// The root of the tree.
    Country,
    /// A province or a city under the central government.
    Province,
    /// A district, or a town or city of a province. Abolished on 1 July 2025.
    District,
    /// A commune, ward or township.
    Commune,
    /// A department or centre that reports beside the territorial units.
    Agency,
}

impl Level {
    /// Every level, from the root down.
    pub const ALL: [Self; 5] = [
        Self::Country,
        Self::Province,
        Self::District,
        Self::Commune,
        Self::Agency,
    ];

    /// The word for the level in files and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Country => "country",
            Self::Province => "province",
            Self::District => "district",
            Self::Commune => "commune",
            Self::Agency => "agency",
        }
    }
}

/// An office in the reporting tree, for as long as it keeps its code, name and parent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// The stable identity, given by the database.
    pub id: UnitId,
    /// The code, unique on any one day.
    pub code: UnitCode,
    /// The names.
    pub names: Names,
    /// The level.
    pub level: Level,
    /// The unit above; none for the root.
    pub parent: Option<UnitCode>,
    /// The first day; none means always before.
    pub valid_from: Option<NaiveDate>,
    /// The first day on which it is no longer valid; none means still valid.
    pub valid_to: Option<NaiveDate>,
}

impl Unit {
    /// Whether the unit exists on `day`.
    pub fn is_valid_on(&self, day: NaiveDate) -> bool {
        self.valid_from.is_none_or(|from| from <= day) && self.valid_to.is_none_or(|to| day < to)
    }
}

/// The units of one day and how they hang together. Children stand in byte order of their codes.
#[derive(Debug)]
pub struct Tree {
    nodes: Vec<Node>,
    by_code: HashMap<UnitCode, usize>,
    by_id: HashMap<UnitId, usize>,
}

#[derive(Debug)]
struct Node {
    unit: Arc<Unit>,
    parent: Option<usize>,
    children: Vec<usize>,
}

/// Why some units form no tree; the number is the unit's place in the list that was given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TreeFault {
    /// Two units hold one code on one day.
    #[error("the code is held by another unit on the same day")]
    CodeHeldTwice,
    /// The parent does not exist on a day on which the unit does.
    #[error("the parent {0} does not exist on {1}, when this unit does")]
    NoParent(UnitCode, NaiveDate),
    /// A unit without a parent besides the root.
    #[error("only one unit may have no parent: the root")]
    SecondRoot,
    /// Following the parents leads back to the unit.
    #[error("the unit is above itself")]
    Cycle,
}

impl Tree {
    /// Builds the tree of `day`, or tells every fault with the unit's place in `units`.
    pub(crate) fn build(units: &[Arc<Unit>], day: NaiveDate) -> Result<Self, Vec<(usize, TreeFault)>> {
        let mut tree = Self {
            nodes: Vec::new(),
            by_code: HashMap::new(),
            by_id: HashMap::new(),
        };
        let mut places = Vec::new();
        let mut faults = Vec::new();
        for (place, unit) in units.iter().enumerate().filter(|(_, unit)| unit.is_valid_on(day)) {
            let node = tree.nodes.len();
            if tree.by_code.insert(unit.code.clone(), node).is_some() {
                faults.push((place, TreeFault::CodeHeldTwice));
            }
            tree.by_id.insert(unit.id, node);
            tree.nodes.push(Node {
                unit: unit.clone(),
                parent: None,
                children: Vec::new(),
            });
            places.push(place);
        }
        let mut root = None;
        for (node, place) in places.iter().copied().enumerate() {
            let unit = tree.nodes[node].unit.clone();
            match &unit.parent {
                Some(code) => match tree.by_code.get(code).copied() {
                    Some(parent) => tree.attach(node, parent),
                    None => faults.push((place, TreeFault::NoParent(code.clone(), day))),
                },
                None if root.is_some() => faults.push((place, TreeFault::SecondRoot)),
                None => root = Some(node),
            }
        }
        for (node, place) in places.iter().copied().enumerate() {
            let mut above = tree.ancestry(node).skip(1).take(tree.nodes.len());
            if above.any(|other| other == node) {
                faults.push((place, TreeFault::Cycle));
            }
        }
        tree.sort_children();
        if faults.is_empty() { Ok(tree) } else { Err(faults) }
    }

    fn attach(&mut self, node: usize, parent: usize) {
        self.nodes[node].parent = Some(parent);
        self.nodes[parent].children.push(node);
    }

    fn sort_children(&mut self) {
        for node in 0..self.nodes.len() {
            let mut children = std::mem::take(&mut self.nodes[node].children);
            children.sort_by(|a, b| self.nodes[*a].unit.code.cmp(&self.nodes[*b].unit.code));
            self.nodes[node].children = children;
        }
    }

    fn ancestry(&self, node: usize) -> impl Iterator<Item = usize> {
        std::iter::successors(Some(node), |at| self.nodes[*at].parent)
    }

    /// The unit with a code.
    pub fn get(&self, code: &str) -> Option<Place<'_>> {
        self.by_code.get(code).map(|node| Place {
            tree: self,
            node: *node,
        })
    }

    /// The unit with an id.
    pub fn by_id(&self, id: UnitId) -> Option<Place<'_>> {
        self.by_id.get(&id).map(|node| Place {
            tree: self,
            node: *node,
        })
    }

    /// All units, in the catalogue's order.
    pub fn places(&self) -> impl Iterator<Item = Place<'_>> {
        (0..self.nodes.len()).map(|node| Place { tree: self, node })
    }
}

/// A unit at its place in a tree.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    tree: &'a Tree,
    node: usize,
}

impl<'a> Place<'a> {
    fn at(self, node: usize) -> Self {
        Self { node, ..self }
    }

    /// The unit itself.
    pub fn unit(self) -> &'a Arc<Unit> {
        &self.tree.nodes[self.node].unit
    }

    /// Its id.
    pub fn id(self) -> UnitId {
        self.unit().id
    }

    /// Its code.
    pub fn code(self) -> &'a UnitCode {
        &self.tree.nodes[self.node].unit.code
    }

    /// The unit above.
    pub fn parent(self) -> Option<Self> {
        self.tree.nodes[self.node].parent.map(|node| self.at(node))
    }

    /// The units directly below, in byte order of their codes.
    pub fn children(self) -> impl Iterator<Item = Place<'a>> {
        self.tree.nodes[self.node]
            .children
            .iter()
            .map(move |node| self.at(*node))
    }

    /// Whether any unit is below. Only such units have a total of their own; a leaf's total is its report.
    pub fn has_children(self) -> bool {
        !self.tree.nodes[self.node].children.is_empty()
    }

    /// The unit and all above it, up to the root.
    pub fn ancestry(self) -> impl Iterator<Item = Place<'a>> {
        self.tree.ancestry(self.node).map(move |node| self.at(node))
    }

    /// The unit and all below it: each unit before its children, children in byte order.
    pub fn at_or_below(self) -> impl Iterator<Item = Place<'a>> {
        let mut open = vec![self.node];
        std::iter::from_fn(move || {
            let node = open.pop()?;
            open.extend(self.tree.nodes[node].children.iter().rev());
            Some(self.at(node))
        })
    }

    /// The province that the unit belongs to or is; the root for units above or outside provinces.
    pub fn province(self) -> Self {
        let mut last = self;
        for place in self.ancestry() {
            if place.unit().level == Level::Province {
                return place;
            }
            last = place;
        }
        last
    }

    /// The total in which a report of this unit shows first: its own where units are below, else its parent's.
    pub fn first_total(self) -> Self {
        if self.has_children() {
            self
        } else {
            self.parent().unwrap_or(self)
        }
    }

    /// The totals that a report of this unit passes through until its province's holds it.
    pub fn way_to_province(self) -> impl Iterator<Item = Place<'a>> {
        let end = self.province().node;
        let mut next = Some(self.first_total());
        std::iter::from_fn(move || {
            let place = next?;
            next = if place.node == end { None } else { place.parent() };
            Some(place)
        })
    }
}
