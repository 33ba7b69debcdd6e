//! A model of what a power cut may leave on a disk, and jobs that go on from it. See DESIGN.md, "Durability", for what is
//! assumed:
//!
//! - bytes that were not synced are there, cut, missing in blocks of 512 bytes, or gone;
//! - names that were created, removed or renamed since their directory was synced have changed or not, each on its own;
//! - sled's files are mixed in blocks of what they were at their last sync and what they are now.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path};
use std::sync::{Arc, Mutex};

use twopass::disk::{Action, Disk, Operation};

use super::common::Numbers;
use super::scenario::{Place, SCENARIOS, Scenario, Tree, World, in_parallel, tree};

/// Images of each scenario; more by hand.
fn images() -> u64 {
    std::env::var("TWOPASS_POWER_IMAGES").map_or(300, |n| n.parse().unwrap())
}

/// Something that a job did, and what it found in sled's directory just before.
enum Traced {
    Create(String),
    Write(String, Vec<u8>),
    SyncFile(String),
    SyncDir(String),
    CreateDir(String),
    Rename(String, String),
    Exchange(String, String),
    Remove(String),
    /// What sled's directory holds now.
    Database(Arc<Tree>),
}

/// Where sled's directory is.
const DATABASE: &str = "out.state/index";

/// Runs a job and writes down what it does.
fn trace(place: &Place) -> Vec<Traced> {
    let traced = Arc::new(Mutex::new(Vec::new()));
    let shared = Arc::clone(&traced);
    let root = place.path.clone();
    let watch = move |operation: &Operation<'_>| {
        let mut traced = shared.lock().unwrap();
        let relative = |path: &Path| path.strip_prefix(&root).map(|path| path.to_str().unwrap().to_string());
        let Ok(path) = relative(operation.path) else { return Ok(usize::MAX) };
        if path.starts_with(DATABASE) {
            let mut now = tree(&root.join(DATABASE)).unwrap_or_default();
            // It is about to go, and sled's directory is known by what it holds alone.
            if operation.action == Action::RemoveFile {
                now.remove(&path[DATABASE.len() + 1..]);
            }
            traced.push(Traced::Database(Arc::new(now)));
        }
        let to = || relative(operation.to.unwrap()).unwrap();
        let inside = path.len() > DATABASE.len() && path.starts_with(DATABASE);
        traced.push(match operation.action {
            Action::RemoveFile | Action::RemoveDir if !inside => Traced::Remove(path),
            Action::Create => Traced::Create(path),
            Action::Write => Traced::Write(path, operation.bytes.to_vec()),
            Action::SyncFile => Traced::SyncFile(path),
            Action::SyncDir => Traced::SyncDir(path),
            Action::CreateDir => Traced::CreateDir(path),
            Action::Rename => Traced::Rename(path, to()),
            Action::Exchange => Traced::Exchange(path, to()),
            Action::Lock => Traced::Create(path),
            _ => return Ok(usize::MAX),
        });
        Ok(usize::MAX)
    };
    place.run(Disk::watched(watch)).unwrap();
    let mut traced = traced.lock().unwrap();
    std::mem::take(&mut *traced)
}

/// A file or a directory, whatever names it has.
#[derive(Clone)]
enum Node {
    File { durable: Vec<u8>, live: Vec<u8> },
    Directory { durable: BTreeMap<String, usize>, live: BTreeMap<String, usize>, pending: Vec<Change> },
    Database { durable: Arc<Tree>, names: BTreeSet<String>, live: Arc<Tree> },
}

/// A change of a directory that is not synced yet.
#[derive(Clone)]
enum Change {
    Set(String, usize),
    Remove(String),
    Rename(String, String, usize),
    Exchange(String, String),
}

impl Change {
    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            Self::Set(name, node) => drop(names.insert(name.clone(), *node)),
            Self::Remove(name) => drop(names.remove(name)),
            Self::Rename(from, to, node) => {
                if names.get(from) == Some(node) {
                    names.remove(from);
                }
                names.insert(to.clone(), *node);
            }
            Self::Exchange(one, other) => {
                let (a, b) = (names.remove(one), names.remove(other));
                a.map(|node| names.insert(other.clone(), node));
                b.map(|node| names.insert(one.clone(), node));
            }
        }
    }
}

/// A disk: what programs see, and what a power cut cannot take.
#[derive(Clone)]
struct Model {
    nodes: Vec<Node>,
}

impl Model {
    /// A disk on which all that is below `root` is durable.
    fn of(root: &Path) -> Self {
        let mut model = Self { nodes: Vec::new() };
        model.add(root, Path::new(""));
        model
    }

    fn add(&mut self, root: &Path, path: &Path) -> usize {
        let absolute = root.join(path);
        let number = self.nodes.len();
        if path == Path::new(DATABASE) {
            let now = Arc::new(tree(&absolute).unwrap());
            let names = now.keys().cloned().collect();
            self.nodes.push(Node::Database { durable: Arc::clone(&now), names, live: now });
        } else if absolute.is_dir() {
            let empty = BTreeMap::new();
            self.nodes.push(Node::Directory { durable: empty.clone(), live: empty, pending: Vec::new() });
            let mut found = BTreeMap::new();
            for entry in fs::read_dir(&absolute).unwrap() {
                let name = entry.unwrap().file_name().into_string().unwrap();
                let node = self.add(root, &path.join(&name));
                found.insert(name, node);
            }
            self.nodes[number] = Node::Directory { durable: found.clone(), live: found, pending: Vec::new() };
        } else {
            let bytes = fs::read(&absolute).unwrap();
            self.nodes.push(Node::File { durable: bytes.clone(), live: bytes });
        }
        number
    }

    fn find(&self, path: &Path) -> Option<usize> {
        path.components().try_fold(0, |node, component| match (&self.nodes[node], component) {
            (Node::Directory { live, .. }, Component::Normal(name)) => live.get(name.to_str().unwrap()).copied(),
            _ => None,
        })
    }

    fn change(&mut self, path: &str, change: impl FnOnce(String) -> Change) {
        let path = Path::new(path);
        let parent = self.find(path.parent().unwrap()).unwrap_or_else(|| panic!("no directory of {path:?}"));
        let Node::Directory { live, pending, .. } = &mut self.nodes[parent] else { return };
        let change = change(path.file_name().unwrap().to_str().unwrap().to_string());
        change.apply(live);
        pending.push(change);
    }

    fn apply(&mut self, traced: &Traced) {
        let name_of = |path: &str| Path::new(path).file_name().unwrap().to_str().unwrap().to_string();
        match traced {
            Traced::Create(path) => match self.find(Path::new(path)) {
                Some(node) => {
                    if let Node::File { live, .. } = &mut self.nodes[node] {
                        live.clear();
                    }
                }
                None => {
                    self.nodes.push(Node::File { durable: Vec::new(), live: Vec::new() });
                    let node = self.nodes.len() - 1;
                    self.change(path, |name| Change::Set(name, node));
                }
            },
            Traced::Write(path, bytes) => {
                let node = self.find(Path::new(path)).unwrap();
                if let Node::File { live, .. } = &mut self.nodes[node] {
                    live.extend(bytes);
                }
            }
            Traced::SyncFile(path) => self.sync_file(path),
            Traced::SyncDir(path) => match self.find(Path::new(path)).map(|node| &mut self.nodes[node]) {
                Some(Node::Directory { durable, live, pending }) => {
                    durable.clone_from(live);
                    pending.clear();
                }
                Some(Node::Database { names, live, .. }) => *names = live.keys().cloned().collect(),
                _ => {}
            },
            Traced::CreateDir(path) => {
                if self.find(Path::new(path)).is_none() {
                    self.nodes.push(if path == DATABASE {
                        let empty = Arc::new(Tree::new());
                        Node::Database { durable: Arc::clone(&empty), names: BTreeSet::new(), live: empty }
                    } else {
                        let empty = BTreeMap::new();
                        Node::Directory { durable: empty.clone(), live: empty, pending: Vec::new() }
                    });
                    let node = self.nodes.len() - 1;
                    self.change(path, |name| Change::Set(name, node));
                }
            }
            Traced::Rename(from, to) => {
                let node = self.find(Path::new(from)).unwrap();
                if Path::new(from).parent() != Path::new(to).parent() {
                    // Less than disks promise: it may be lost in one of the two directories alone.
                    self.change(to, |name| Change::Set(name, node));
                    self.change(from, Change::Remove);
                    return;
                }
                self.change(from, |name| Change::Rename(name, name_of(to), node));
            }
            Traced::Exchange(one, other) => self.change(one, |name| Change::Exchange(name, name_of(other))),
            Traced::Remove(path) => {
                if self.find(Path::new(path)).is_some() {
                    self.change(path, Change::Remove);
                }
            }
            Traced::Database(now) => {
                if let Some(Node::Database { live, .. }) = self.find(Path::new(DATABASE)).map(|n| &mut self.nodes[n]) {
                    *live = Arc::clone(now);
                }
            }
        }
    }

    fn sync_file(&mut self, path: &str) {
        if path.starts_with(DATABASE) {
            let Some(Node::Database { durable, live, .. }) = self.find(Path::new(DATABASE)).map(|n| &mut self.nodes[n])
            else {
                return;
            };
            // Only the database file is synced by us; the other files are as they were, or as sled synced them.
            *durable = Arc::clone(live);
            return;
        }
        let node = self.find(Path::new(path)).unwrap();
        if let Node::File { durable, live } = &mut self.nodes[node] {
            durable.clone_from(live);
        }
    }

    /// One of the disks that a power cut at this moment may leave, at `to`.
    fn write_image(&self, numbers: &mut Numbers, to: &Path) {
        self.write_node(0, numbers, to);
    }

    fn write_node(&self, node: usize, numbers: &mut Numbers, to: &Path) {
        match &self.nodes[node] {
            Node::File { durable, live } => fs::write(to, mixed(durable, live, numbers)).unwrap(),
            Node::Directory { durable, pending, .. } => {
                let mut names = durable.clone();
                // All, none, or each on its own.
                let mood = numbers.below(4);
                for change in pending {
                    if mood == 0 || (mood > 1 && numbers.below(2) == 0) {
                        change.apply(&mut names);
                    }
                }
                fs::create_dir_all(to).unwrap();
                names.iter().for_each(|(name, node)| self.write_node(*node, numbers, &to.join(name)));
            }
            Node::Database { durable, names, live } => write_database(durable, names, live, numbers, to),
        }
    }
}

fn write_database(durable: &Tree, names: &BTreeSet<String>, live: &Tree, numbers: &mut Numbers, to: &Path) {
    fs::create_dir_all(to).unwrap();
    let nothing = Vec::new();
    // Whether sled has synced its small files is sled's business: mostly it is taken to have.
    let small_files_synced = numbers.below(4) > 0;
    let all: BTreeSet<&String> = names.iter().chain(live.keys()).collect();
    for name in all {
        if names.contains(name) != live.contains_key(name) && numbers.below(2) == 0 {
            continue;
        }
        if name.ends_with('/') {
            fs::create_dir_all(to.join(name)).unwrap();
            continue;
        }
        let was = durable.get(name).unwrap_or(&nothing);
        let is = live.get(name).unwrap_or(was);
        let was = if name == "db" {
            was
        } else if small_files_synced {
            is
        } else {
            &nothing
        };
        fs::write(to.join(name), mixed(was, is, numbers)).unwrap();
    }
}

/// Bytes of a file of which `was` is durable and `is` was written.
fn mixed(was: &[u8], is: &[u8], numbers: &mut Numbers) -> Vec<u8> {
    if was == is {
        return is.to_vec();
    }
    match numbers.below(4) {
        0 => was.to_vec(),
        1 => is.to_vec(),
        2 if is.starts_with(was) => {
            is[..was.len() + numbers.below((is.len() - was.len()) as u64 + 1) as usize].to_vec()
        }
        _ => {
            // A length without its bytes reads as zeros.
            let length = if numbers.below(2) == 0 { is.len() } else { was.len() };
            let mut bytes = vec![0; length];
            for start in (0..length).step_by(512) {
                let end = (start + 512).min(length);
                let from = if numbers.below(2) == 0 { is } else { was };
                let have = from.get(start..end.min(from.len())).unwrap_or_default();
                bytes[start..start + have.len()].copy_from_slice(have);
            }
            bytes
        }
    }
}

#[test]
fn after_a_power_cut_at_any_moment_the_next_run_goes_on() {
    let world = World::new();
    for scenario in SCENARIOS {
        power_cuts(&world, scenario);
    }
}

fn power_cuts(world: &World, scenario: Scenario) {
    let place = world.place(scenario);
    let mut model = Model::of(&place.path);
    let traced = trace(&place);
    place.remove();
    // The disk after each operation; nodes are shared by few, and the job is small.
    let mut moments = vec![model.clone()];
    for operation in &traced {
        model.apply(operation);
        moments.push(model.clone());
    }
    let seeds: Vec<u64> = (0..images()).collect();
    in_parallel(&seeds, |_, seed| {
        let mut numbers = Numbers(*seed);
        let moment = numbers.below(moments.len() as u64) as usize;
        let what = format!("{scenario:?}, power cut {seed}, before operation {moment} of {}", traced.len());
        let place = world.place(scenario);
        fs::remove_dir_all(&place.path).unwrap();
        moments[moment].write_image(&mut numbers, &place.path);
        place.assert_whole(world, &what);
        let reused = place.assert_resumes(world, &what);
        // What is committed stays so: its files and their names are synced.
        let synced = |traced: &&Traced| matches!(traced, Traced::SyncDir(path) if path == "out.state/shards");
        let committed = traced[..moment].iter().filter(synced).count();
        if scenario == Scenario::Fresh {
            assert!(
                reused.is_none_or(|reused| reused >= committed),
                "{what}: {reused:?} of {committed} shards are left"
            );
        }
        place.remove();
    });
    eprintln!("{scenario:?}: {} power cuts in a run of {} operations", seeds.len(), traced.len());
}
