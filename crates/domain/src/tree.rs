//! The tree that the units of a day form.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::NaiveDate;

use crate::code::{UnitCode, UnitId};
use crate::unit::{Level, Unit};

/// The units of one day and their hierarchy. Units are in the order of the catalogue, which is the official one.
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

/// A reason why units do not form a tree.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TreeError {
    /// Two units have the same code on one day.
    #[error("another unit has this code on the same day")]
    DuplicateCode,
    /// The parent does not exist on a day on which the unit does.
    #[error("the parent {0} does not exist on {1}, but this unit does")]
    MissingParent(UnitCode, NaiveDate),
    /// A unit other than the root has no parent.
    #[error("only one unit may have no parent: the root")]
    SecondRoot,
    /// Following the parents leads back to the unit.
    #[error("the unit is its own ancestor")]
    Cycle,
}

impl Tree {
    /// Builds the tree of `day`, or returns every error with the index of its unit in `units`.
    pub(crate) fn build(units: &[Arc<Unit>], day: NaiveDate) -> Result<Self, Vec<(usize, TreeError)>> {
        let mut tree = Self {
            nodes: Vec::new(),
            by_code: HashMap::new(),
            by_id: HashMap::new(),
        };
        let mut indexes = Vec::new();
        let mut errors = Vec::new();
        for (index, unit) in units.iter().enumerate().filter(|(_, unit)| unit.is_valid_on(day)) {
            if tree.add(unit) {
                errors.push((index, TreeError::DuplicateCode));
            }
            indexes.push(index);
        }
        let mut root = None;
        for (node, index) in indexes.iter().copied().enumerate() {
            let unit = tree.nodes[node].unit.clone();
            match &unit.parent {
                Some(code) => match tree.by_code.get(code).copied() {
                    Some(parent) => tree.attach(node, parent),
                    None => errors.push((index, TreeError::MissingParent(code.clone(), day))),
                },
                None if root.is_some() => errors.push((index, TreeError::SecondRoot)),
                None => root = Some(node),
            }
        }
        for (node, index) in indexes.iter().copied().enumerate() {
            let mut ancestors = tree.ancestry(node).skip(1).take(tree.nodes.len());
            if ancestors.any(|other| other == node) {
                errors.push((index, TreeError::Cycle));
            }
        }
        if errors.is_empty() { Ok(tree) } else { Err(errors) }
    }

    /// Adds a node without a parent. Returns whether its code was already there.
    fn add(&mut self, unit: &Arc<Unit>) -> bool {
        let node = self.nodes.len();
        self.by_id.insert(unit.id, node);
        self.nodes.push(Node {
            unit: unit.clone(),
            parent: None,
            children: Vec::new(),
        });
        self.by_code.insert(unit.code.clone(), node).is_some()
    }

    fn attach(&mut self, node: usize, parent: usize) {
        self.nodes[node].parent = Some(parent);
        self.nodes[parent].children.push(node);
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

    /// The unit.
    pub fn unit(self) -> &'a Arc<Unit> {
        &self.tree.nodes[self.node].unit
    }

    /// The number of the unit in the catalogue's order, from 0.
    pub fn order(self) -> usize {
        self.node
    }

    /// The unit's id.
    pub fn id(self) -> UnitId {
        self.unit().id
    }

    /// The unit's code.
    pub fn code(self) -> &'a UnitCode {
        &self.tree.nodes[self.node].unit.code
    }

    /// The unit directly above.
    pub fn parent(self) -> Option<Self> {
        self.tree.nodes[self.node].parent.map(|node| self.at(node))
    }

    /// The units directly below, in the catalogue's order.
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

    /// The unit and all units above it, up to the root.
    pub fn ancestry(self) -> impl Iterator<Item = Place<'a>> {
        self.tree.ancestry(self.node).map(move |node| self.at(node))
    }

    /// The unit and all units below it: each unit before its children, children in the
    /// catalogue's order.
    pub fn at_or_below(self) -> impl Iterator<Item = Place<'a>> {
        let mut open = vec![self.node];
        std::iter::from_fn(move || {
            let node = open.pop()?;
            open.extend(self.tree.nodes[node].children.iter().rev());
            Some(self.at(node))
        })
    }

    /// The province that contains the unit, or the unit itself if it is one; the root for units outside provinces.
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

    /// The first total that a report of this unit changes: the unit's own if it has children, otherwise its parent's.
    pub fn first_total(self) -> Self {
        if self.has_children() {
            self
        } else {
            self.parent().unwrap_or(self)
        }
    }

    /// The totals that a report of this unit changes, from the first up to the province's.
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
