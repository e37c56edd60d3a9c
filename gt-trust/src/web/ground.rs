//! Everything by which a key is believed, each certification told once.

use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;

use crate::certificate::Sig;
use crate::fingerprint::Fingerprint;
use crate::limits;

use super::{Hop, Level, Path, Validity, Web};

/// One user id that is believed, with every certification that counts for it.
///
/// Who made those is explained in the same way by other grounds, so that all of
/// them are a graph without circles: a user id is believed in a round by what
/// introducers of that round or an earlier one say, and only those of its key's
/// that were believed first made an introducer of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ground {
    /// Whose user id.
    pub key: Fingerprint,
    /// The user id; empty for a root that has none.
    pub user: Vec<u8>,
    /// Full, or ultimate for a root.
    pub validity: Validity,
    /// How far the key's owner is trusted to certify others.
    pub ownertrust: Level,
    /// The trust signature that says so, where the person said less.
    pub granted: Option<Hop>,
    /// What counts for it: each by a root, or by the key of another ground.
    pub certifications: Vec<Hop>,
}

/// A ground while it is looked for: places, and no copies.
struct Node<'a> {
    key: usize,
    user: usize,
    certifications: Vec<(usize, &'a Sig)>,
}

/// Grounds, and the paths through them.
pub(super) struct Grounds {
    /// Those of the key that was asked about, then those of introducers, the
    /// nearer first, then roots.
    pub(super) grounds: Vec<Ground>,
    /// The paths to the first of them, the shorter first.
    pub(super) paths: Vec<Path>,
    /// How many more there are.
    pub(super) left_out: u64,
}

impl<'a> Web<'a> {
    /// Finds everything by which some user ids of a key are believed. Every
    /// signature on them, and on those of the introducers behind them, is
    /// computed once at most.
    pub(super) fn grounds(&self, key: usize, users: &[usize]) -> Grounds {
        let mut nodes: Vec<Node<'a>> = Vec::new();
        let mut roots = BTreeSet::new();
        let mut seen = BTreeSet::from([key]);
        let mut front: Vec<(usize, usize)> = users.iter().map(|user| (key, *user)).collect();
        while !front.is_empty() {
            let found: Vec<Node<'a>> = front
                .par_iter()
                .map(|(key, user)| Node {
                    key: *key,
                    user: *user,
                    certifications: self.counting(*key, *user),
                })
                .collect();
            front.clear();
            for node in &found {
                let signers = node.certifications.iter().map(|(signer, _)| *signer);
                for signer in signers.chain(self.granted(node.key).map(|(by, ..)| by)) {
                    if self.introducer(signer).is_some_and(|by| by.round == 0) {
                        roots.insert(signer);
                    } else if signer == key {
                        // Another user id of the key that was asked about made
                        // an introducer of it, and is among the first.
                    } else if seen.insert(signer) {
                        let made = self.made_introducer(signer);
                        front.extend(made.map(|user| (signer, user)));
                    }
                }
            }
            nodes.extend(found);
        }
        let (paths, left_out) = self.paths(&nodes);
        let mut grounds: Vec<Ground> = nodes.iter().map(|node| self.ground(node)).collect();
        grounds.extend(roots.into_iter().map(|root| self.root_ground(root)));
        Grounds {
            grounds,
            paths,
            left_out,
        }
    }

    /// Returns the certifications that count for a user id: by introducers of
    /// the round in which it became fully valid, or of those before.
    fn counting(&self, key: usize, user: usize) -> Vec<(usize, &'a Sig)> {
        let last = self.round_of(key, user);
        self.certifications(key, user, |i| {
            let by = self.introducer(i);
            by.is_some_and(|by| by.level >= Level::Marginal && by.round <= last)
        })
    }

    /// Returns the user ids that made an introducer of a key: those that became
    /// fully valid in the round before its own.
    pub(super) fn made_introducer(&self, key: usize) -> impl Iterator<Item = usize> + '_ {
        let round = self.introducer(key).map_or(0, |by| by.round);
        let users = self.own(key).users.len();
        (0..users).filter(move |user| {
            self.own(key).users[*user].is_usable()
                && self.validity(key, *user) >= Validity::Full
                && self.round_of(key, *user) + 1 == round
        })
    }

    fn ground(&self, node: &Node<'a>) -> Ground {
        let hops = node.certifications.iter();
        let print = self.ring.certificates()[node.key].fingerprint();
        let granted = self.granted(node.key);
        Ground {
            key: print,
            user: self.name(node.key, node.user),
            validity: self.validity(node.key, node.user),
            ownertrust: self.level(&print),
            granted: granted.map(|(by, user, sig)| self.hop(by, node.key, user, sig)),
            certifications: hops
                .map(|(by, sig)| self.hop(*by, node.key, node.user, sig))
                .collect(),
        }
    }

    pub(super) fn root_ground(&self, root: usize) -> Ground {
        let usable = self.own(root).users.iter().position(|u| u.is_usable());
        Ground {
            key: self.ring.certificates()[root].fingerprint(),
            user: usable.map_or_else(Vec::new, |user| self.name(root, user)),
            validity: Validity::Ultimate,
            ownertrust: Level::Ultimate,
            granted: None,
            certifications: Vec::new(),
        }
    }

    /// Writes the paths through the nodes to the first of them out, as many as
    /// are allowed, and counts the others.
    fn paths(&self, nodes: &[Node<'a>]) -> (Vec<Path>, u64) {
        if nodes.is_empty() {
            return (Vec::new(), 0);
        }
        let walk = Walk::new(self, nodes);
        let mut paths = Vec::new();
        let lengths = walk.ways[0].len();
        for length in 1..lengths {
            walk.write(0, length, &mut Vec::new(), &mut paths);
        }
        let all = walk.ways[0].iter().fold(0u64, |n, m| n.saturating_add(*m));
        let left_out = all.saturating_sub(paths.len() as u64);
        (paths, left_out)
    }
}

/// How many paths of each length lead to each node.
struct Walk<'w, 'a> {
    web: &'w Web<'a>,
    nodes: &'w [Node<'a>],
    /// The nodes of each key.
    of: BTreeMap<usize, Vec<usize>>,
    ways: Vec<Vec<u64>>,
}

impl<'w, 'a> Walk<'w, 'a> {
    fn new(web: &'w Web<'a>, nodes: &'w [Node<'a>]) -> Self {
        let mut of: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (n, node) in nodes.iter().enumerate() {
            let round = web.introducer(node.key).map_or(0, |by| by.round);
            if web.round_of(node.key, node.user) + 1 == round {
                of.entry(node.key).or_default().push(n);
            }
        }
        let mut walk = Self {
            web,
            nodes,
            of,
            ways: vec![Vec::new(); nodes.len()],
        };
        // What was believed earlier counts first.
        let mut order: Vec<usize> = (0..nodes.len()).collect();
        order.sort_by_key(|n| web.round_of(nodes[*n].key, nodes[*n].user));
        for n in order {
            walk.ways[n] = walk.count(n);
        }
        walk
    }

    fn count(&self, n: usize) -> Vec<u64> {
        let mut ways = vec![0u64; 2];
        for (signer, _) in &self.nodes[n].certifications {
            if self.is_root(*signer) {
                ways[1] = ways[1].saturating_add(1);
                continue;
            }
            for before in self.before(*signer) {
                let theirs = &self.ways[*before];
                if ways.len() < theirs.len() + 1 {
                    ways.resize(theirs.len() + 1, 0);
                }
                for (length, count) in theirs.iter().enumerate() {
                    ways[length + 1] = ways[length + 1].saturating_add(*count);
                }
            }
        }
        ways
    }

    fn is_root(&self, signer: usize) -> bool {
        self.web.introducer(signer).is_some_and(|by| by.round == 0)
    }

    fn before(&self, signer: usize) -> &[usize] {
        self.of.get(&signer).map_or(&[], Vec::as_slice)
    }

    /// Writes every path of a length to a node out. `after` holds the hops from
    /// there on, the last first.
    fn write(&self, n: usize, length: usize, after: &mut Vec<Hop>, paths: &mut Vec<Path>) {
        let node = &self.nodes[n];
        let ends = |before: usize| {
            let ways = self.ways[before].get(length - 1);
            ways.is_some_and(|ways| *ways > 0)
        };
        for (signer, sig) in &node.certifications {
            if paths.len() >= limits::PATHS {
                return;
            }
            let hop = || self.web.hop(*signer, node.key, node.user, sig);
            if self.is_root(*signer) {
                if length == 1 {
                    let hops = [hop()].into_iter().chain(after.iter().rev().cloned());
                    paths.push(Path {
                        hops: hops.collect(),
                    });
                }
                continue;
            }
            for before in self.before(*signer).iter().filter(|b| ends(**b)) {
                after.push(hop());
                self.write(*before, length - 1, after, paths);
                after.pop();
            }
        }
    }
}
