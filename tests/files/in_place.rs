//! `output.publish = "in_place"`: into directories that are there, stay, and may be file systems of their own.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use twopass::disk::{Action, Disk};
use twopass::error::Error;
use twopass::observe::Silent;

use super::common::{Place, chain, job, run, try_run};
use super::support::{failed, input, recipe, refusal, tree};

const CUTOFF: &str = "2024-06-01";

/// A layout of a pipeline's: what is to be written, by time or not, and the root of each directory with files.
struct Layout {
    name: &'static str,
    cutoff: Option<&'static str>,
    output: Value,
    roots: &'static [&'static str],
    files: &'static [&'static str],
}

fn layouts() -> Vec<Layout> {
    let beside = json!({ "signature_file": "../signature/signature", "metadata_file": "../metadata/metadata" });
    let with = |mut output: Value, more: &Value| {
        output["publish"] = json!("in_place");
        output.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        output
    };
    vec![
        Layout {
            name: "parts of another extension",
            cutoff: None,
            output: with(json!({ "format": "jsonl", "files": { "data": "part-{part}.json" } }), &beside),
            roots: &["p/data", "p/signature", "p/metadata"],
            files: &["data/part-00000.json", "data/part-00004.json", "signature/signature", "metadata/metadata"],
        },
        Layout {
            name: "one numbered part",
            cutoff: None,
            output: with(json!({ "layout": "single", "files": { "data": "part-00000.{ext}" } }), &beside),
            roots: &["p/data", "p/signature", "p/metadata"],
            files: &["data/part-00000.csv", "signature/signature", "metadata/metadata"],
        },
        Layout {
            name: "a single file and its copy",
            cutoff: Some(CUTOFF),
            output: with(
                json!({
                    "layout": "single",
                    "files": { "oot": ["test/test_processed_data.{ext}", "../oot_data/oot_data.{ext}"] },
                }),
                &json!({}),
            ),
            roots: &["p/data", "p/oot_data"],
            files: &[
                "data/train/train_processed_data.csv",
                "data/test/test_processed_data.csv",
                "oot_data/oot_data.csv",
            ],
        },
        Layout {
            name: "parts and their copies",
            cutoff: Some(CUTOFF),
            output: with(
                json!({ "files": { "oot": ["oot/part-{part}.{ext}", "../oot_data/part-{part}.{ext}"] } }),
                &json!({}),
            ),
            roots: &["p/data", "p/oot_data"],
            files: &["data/train/part-00000.csv", "data/oot/part-00001.csv", "oot_data/part-00001.csv"],
        },
    ]
}

/// What a layout's job writes where nothing is beforehand; paths from the parent of the output.
fn alone(layout: &Layout) -> BTreeMap<String, Vec<u8>> {
    let place = Place::in_memory();
    input(&place);
    run(&recipe(&place, "p/data", layout.cutoff, &layout.output));
    files_of(&place)
}

/// All files below `p`; the place is taken out of the manifest.
fn files_of(place: &Place) -> BTreeMap<String, Vec<u8>> {
    let mut tree = tree(&place.path("p"), &[]);
    if let Some(manifest) = tree.get_mut("data/_manifest.json") {
        *manifest = String::from_utf8(manifest.clone()).unwrap().replace(&place.text(""), "").into_bytes();
    }
    tree
}

#[test]
fn directories_that_are_there_stay_and_get_the_files() {
    for layout in layouts() {
        let name = layout.name;
        let expected = alone(&layout);
        layout.files.iter().for_each(|file| assert!(expected.contains_key(*file), "{name}: {file} is not there"));
        let place = Place::in_memory();
        input(&place);
        for root in layout.roots {
            fs::create_dir_all(place.path(root).join("lost+found")).unwrap();
            fs::create_dir_all(place.path(root).join("empty")).unwrap();
            fs::write(place.path(root).join(".hidden"), "theirs").unwrap();
        }
        let before: Vec<u64> = layout.roots.iter().map(|root| inode(&place.path(root))).collect();
        let recipe = recipe(&place, "p/data", layout.cutoff, &layout.output);
        run(&recipe);
        let after: Vec<u64> = layout.roots.iter().map(|root| inode(&place.path(root))).collect();
        assert_eq!(before, after, "{name}: a directory was replaced");
        let mut found = files_of(&place);
        for root in layout.roots {
            let hidden = found.remove(&format!("{}/.hidden", root.trim_start_matches("p/")));
            assert_eq!(hidden.as_deref(), Some(&b"theirs"[..]), "{name}: {root}");
        }
        assert!(found == expected, "{name}: {:?}", found.keys());
        assert_eq!(failed(&place.path("p/data")), [], "{name}");
        assert_eq!(expected["data/_SUCCESS"], b"", "{name}");

        // The same place again is an output that is there, and whole.
        let Err(Error::Conflict(message)) = try_run(&recipe) else { panic!("{name}: published over an output") };
        assert!(message.contains("exists and is not empty"), "{name}: {message}");
        job(&recipe).overwriting(true).run(&Silent).unwrap_or_else(|e| panic!("{name}: {}", chain(&e)));
        let mut again = files_of(&place);
        again.retain(|path, _| !path.ends_with("/.hidden"));
        assert!(again == expected, "{name}: {:?}", again.keys());
    }
}

fn inode(path: &Path) -> u64 {
    fs::metadata(path).unwrap().ino()
}

#[test]
fn the_bytes_are_those_that_a_rename_publishes() {
    let place = Place::in_memory();
    input(&place);
    run(&recipe(&place, "p/renamed", Some(CUTOFF), &json!({})));
    let fingerprint = |name: &str| super::common::manifest(&place.path(name))["fingerprint"].clone();
    run(&recipe(&place, "p/data", Some(CUTOFF), &json!({ "publish": "in_place" })));
    let except = ["_manifest.json"];
    assert_eq!(tree(&place.path("p/renamed"), &except), tree(&place.path("p/data"), &except));
    assert_eq!(fingerprint("p/renamed"), fingerprint("p/data"));
}

#[test]
fn no_file_leaves_its_directory_and_success_is_the_last_to_come() {
    for layout in layouts() {
        let name = layout.name;
        let place = Place::in_memory();
        input(&place);
        let actions = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&actions);
        let staging = Path::new(".twopass-staging");
        let watch = move |operation: &twopass::disk::Operation<'_>| {
            let home = |path: &Path| {
                let directory = path.parent().unwrap();
                if directory.ends_with(staging) { directory.parent().unwrap().to_path_buf() } else { directory.into() }
            };
            let to = operation.to.unwrap_or(operation.path);
            let is_output = to.to_str().unwrap().contains("/p/");
            if matches!(operation.action, Action::Rename | Action::Exchange) && is_output {
                // What another file system would say.
                if operation.action == Action::Exchange || home(operation.path) != home(to) {
                    return Err(io::Error::from_raw_os_error(18));
                }
                shared.lock().unwrap().push(to.to_path_buf());
            }
            if matches!(operation.action, Action::Create | Action::CreateDir) && is_output {
                let allowed = to.to_str().unwrap();
                let staged = allowed.contains("/.twopass-staging") || operation.action == Action::CreateDir;
                let own = allowed.ends_with("/._SUCCESS.tmp") || allowed.ends_with("/._manifest.json.tmp");
                assert!(staged || own, "{allowed} is made under a name that readers see");
            }
            Ok(usize::MAX)
        };
        let recipe = recipe(&place, "p/data", layout.cutoff, &layout.output);
        job(&recipe).on_disk(Disk::watched(watch)).run(&Silent).unwrap_or_else(|e| panic!("{name}: {}", chain(&e)));
        let renamed = actions.lock().unwrap();
        assert!(renamed.last().unwrap().ends_with("data/_SUCCESS"), "{name}");
        assert!(renamed[renamed.len() - 2].ends_with("data/_manifest.json"), "{name}");
    }
}

/// Runs a job that fails at the n-th change of what readers see; says whether it came to that.
fn cut_short(recipe: &Value, at: usize) -> bool {
    let seen = Arc::new(Mutex::new(0));
    let shared = Arc::clone(&seen);
    let watch = move |operation: &twopass::disk::Operation<'_>| {
        let path = operation.to.unwrap_or(operation.path).to_str().unwrap();
        let is_visible = path.split_once("/p/").is_some_and(|(_, inner)| !inner.contains("/."));
        if is_visible && matches!(operation.action, Action::Rename | Action::RemoveFile) {
            let mut seen = shared.lock().unwrap();
            *seen += 1;
            if *seen > at {
                return Err(io::Error::from_raw_os_error(5));
            }
        }
        Ok(usize::MAX)
    };
    job(recipe).overwriting(true).on_disk(Disk::watched(watch)).run(&Silent).is_err()
}

/// The state, the recipe and the flag may be others: what is half published is nobody's.
#[test]
fn a_publication_that_was_cut_short_is_taken_back_without_its_state_and_by_another_recipe() {
    let [first, .., last] = &layouts()[..] else { panic!() };
    let mut cuts = 0;
    for (next, keeps_state) in [(last, false), (first, true), (first, false)] {
        let expected = alone(next);
        for over in [false, true] {
            for at in 0.. {
                let place = Place::in_memory();
                input(&place);
                if over {
                    run(&recipe(&place, "p/data", first.cutoff, &first.output));
                }
                if !cut_short(&recipe(&place, "p/data", last.cutoff, &last.output), at) {
                    break;
                }
                cuts += 1;
                let what = format!("{} over {over}, cut at {at}", next.name);
                // Before the old output has lost its mark, it is there and whole.
                let is_whole = over && place.path("p/data/_SUCCESS").exists();
                if !keeps_state {
                    fs::remove_dir_all(place.path("state")).unwrap();
                }
                let next = recipe(&place, "p/data", next.cutoff, &next.output);
                let report = job(&next).overwriting(is_whole).run(&Silent);
                report.unwrap_or_else(|e| panic!("{what}: {}", chain(&e)));
                assert!(files_of(&place) == expected, "{what}: {:?}", files_of(&place).keys());
                assert_eq!(failed(&place.path("p/data")), [], "{what}");
            }
        }
    }
    assert!(cuts > 60, "{cuts}");
}

#[test]
fn what_is_not_ours_is_left_alone() {
    let layout = &layouts()[3];
    for (file, overwrite, says) in [
        ("p/oot_data/theirs", false, "exists and is not empty: it has theirs"),
        ("p/data/theirs", false, "exists and is not empty: it has theirs"),
        ("p/data/theirs", true, "was not written by twopass"),
        ("p/oot_data/theirs", true, "is not of the output to be replaced"),
        ("p/data/_SUCCESS", false, "exists and is not empty"),
        ("p/data/_manifest.json", true, "cannot be read"),
    ] {
        let place = Place::in_memory();
        // Refused before the input is looked at, for there is none.
        fs::create_dir_all(place.path(file).parent().unwrap()).unwrap();
        fs::write(place.path(file), "not ours").unwrap();
        let recipe = recipe(&place, "p/data", layout.cutoff, &layout.output);
        match job(&recipe).overwriting(overwrite).run(&Silent) {
            Err(Error::Conflict(message)) => assert!(message.contains(says), "{file}: {message}"),
            other => panic!("{file}: {:?}", other.map(|report| report.rows)),
        }
        assert_eq!(tree(&place.path("p"), &[]).len(), 1, "{file}");
        assert_eq!(fs::read(place.path(file)).unwrap(), b"not ours", "{file}");
    }
}

#[test]
fn what_replaces_an_output_takes_exactly_that_away() {
    let place = Place::in_memory();
    input(&place);
    let [first, _, _, last] = &layouts()[..] else { panic!() };
    run(&recipe(&place, "p/data", first.cutoff, &first.output));
    fs::write(place.path("p/signature/.hidden"), "theirs").unwrap();
    fs::create_dir_all(place.path("p/data/notes")).unwrap();
    fs::write(place.path("p/data/notes/theirs"), "theirs").unwrap();
    let recipe = recipe(&place, "p/data", last.cutoff, &last.output);
    job(&recipe).overwriting(true).run(&Silent).unwrap();
    let mut found = files_of(&place);
    for theirs in ["signature/.hidden", "data/notes/theirs"] {
        assert_eq!(found.remove(theirs).as_deref(), Some(&b"theirs"[..]));
    }
    assert!(found == alone(last), "{:?}", found.keys());
}

/// A list of files in a manifest that somebody changed removes nothing.
#[test]
fn a_manifest_that_lists_what_its_recipe_does_not_is_refused() {
    let place = Place::in_memory();
    input(&place);
    let layout = &layouts()[0];
    let recipe = recipe(&place, "p/data", layout.cutoff, &layout.output);
    run(&recipe);
    fs::write(place.path("precious"), "theirs").unwrap();
    let path = place.path("p/data/_manifest.json");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("\"part-00001.json\"", "\"../../precious\"")).unwrap();
    let Err(Error::Conflict(message)) = job(&recipe).overwriting(true).run(&Silent) else { panic!() };
    assert!(message.contains("parts where its recipe has none"), "{message}");
    assert!(place.path("precious").is_file());
    assert!(failed(&place.path("p/data")).iter().any(|(check, _)| *check == "files"));
}

#[test]
fn paths_lead_out_by_names_alone_and_only_in_place() {
    let place = Place::in_memory();
    input(&place);
    let out = |publish: &str, path: &str| json!({ "publish": publish, "layout": "single", "files": { "data": path }, "metadata": "none" });
    for path in ["../x.csv", "/x.csv"] {
        let message = refusal(&recipe(&place, "p/data", None, &out("rename", path)));
        assert!(message.contains("output.publish = \"in_place\""), "{message}");
    }
    for path in ["../a/../x.csv", "a/../../x.csv", "../../", "//x.csv", "../_x.csv", "/a/./x.csv", "../data/signature"]
    {
        let message = refusal(&recipe(&place, "p/data", None, &out("in_place", path)));
        assert!(message.contains("output.files.data"), "{path}: {message}");
    }
    // The root is a link to somewhere deep: `..` leads from the link.
    fs::create_dir_all(place.path("deep/er")).unwrap();
    fs::create_dir_all(place.path("p")).unwrap();
    std::os::unix::fs::symlink(place.path("deep/er"), place.path("p/data")).unwrap();
    let absolute = place.text("absolute/x.csv");
    let mut whole = out("in_place", "");
    whole["files"]["data"] = json!([absolute, "../y/y.csv", "z.csv"]);
    run(&recipe(&place, "p/data", None, &whole));
    let bytes = fs::read(place.path("absolute/x.csv")).unwrap();
    for copy in ["p/y/y.csv", "deep/er/z.csv"] {
        assert!(fs::read(place.path(copy)).unwrap() == bytes, "{copy}");
    }
    assert_eq!(failed(&place.path("p/data")), []);
    fs::write(place.path("p/y/y.csv"), "other").unwrap();
    assert_eq!(failed(&place.path("p/data"))[0].0, "checksums");
}

#[test]
fn verify_reports_what_is_in_the_output_and_not_of_it() {
    let place = Place::in_memory();
    input(&place);
    let layout = &layouts()[3];
    run(&recipe(&place, "p/data", layout.cutoff, &layout.output));
    let output = place.path("p/data");
    fs::write(place.path("p/oot_data/theirs"), "").unwrap();
    fs::write(output.join(".hidden"), "").unwrap();
    assert_eq!(failed(&output), []);
    fs::write(output.join("train/more.csv"), "").unwrap();
    assert!(matches!(&failed(&output)[..], [("files", wrong)] if wrong == "train/more.csv is not in the manifest"));
    fs::remove_file(output.join("train/more.csv")).unwrap();
    fs::remove_file(place.path("p/oot_data/part-00001.csv")).unwrap();
    assert!(matches!(&failed(&output)[..], [("files", wrong), ("checksums", _)] if wrong.contains("is missing")));
}

#[test]
fn two_jobs_do_not_build_into_one_directory_at_a_time() {
    let place = Place::in_memory();
    input(&place);
    let layout = &layouts()[3];
    fs::create_dir_all(place.path("p/oot_data")).unwrap();
    let lock = place.path("p/oot_data/.twopass-lock");
    let _held = twopass::store::lock::Lock::take(&Disk::default(), &lock, &place.path("p/oot_data")).unwrap();
    let Err(Error::Conflict(message)) = try_run(&recipe(&place, "p/data", layout.cutoff, &layout.output)) else {
        panic!()
    };
    assert!(message.contains("oot_data is in use by process"), "{message}");
}

/// Does something to the place at the moment when all is staged, and nothing published.
fn meanwhile(recipe: &Value, action: impl Fn() + Send + Sync + 'static) -> Result<(), Error> {
    let watch = move |operation: &twopass::disk::Operation<'_>| {
        let to = operation.to.unwrap_or(operation.path);
        if operation.action == Action::Rename && to.ends_with(".twopass-staging/_manifest.json") {
            action();
        }
        Ok(usize::MAX)
    };
    job(recipe).overwriting(true).on_disk(Disk::watched(watch)).run(&Silent).map(drop)
}

fn conflict<T>(result: Result<T, Error>) -> String {
    match result {
        Err(Error::Conflict(message)) => message,
        Err(other) => panic!("{}", chain(&other)),
        Ok(_) => panic!("no conflict"),
    }
}

#[test]
fn two_directories_that_are_one_are_refused() {
    let output = json!({ "publish": "in_place", "files": { "data": ["k/a/{part}.{ext}", "l/a/x-{part}.{ext}"] } });
    for is_there in [true, false] {
        let place = Place::in_memory();
        input(&place);
        fs::create_dir_all(place.path("p/data/k")).unwrap();
        if is_there {
            fs::create_dir(place.path("p/data/k/a")).unwrap();
        }
        std::os::unix::fs::symlink("k", place.path("p/data/l")).unwrap();
        let message = conflict(try_run(&recipe(&place, "p/data", None, &output)));
        assert!(message.contains("are one directory"), "{message}");
        assert_eq!(tree(&place.path("p"), &[]).len(), 0);
    }
}

#[test]
fn exactly_what_the_manifest_lists_is_published_and_all_of_it_or_nothing() {
    let (layout, place) = (&layouts()[3], Place::in_memory());
    input(&place);
    let recipe = recipe(&place, "p/data", layout.cutoff, &layout.output);
    run(&recipe);
    let before = files_of(&place);
    let part = place.path("p/oot_data/.twopass-staging/part-00001.csv");
    let error = meanwhile(&recipe, move || fs::remove_file(&part).unwrap()).unwrap_err();
    assert!(chain(&error).contains("it is missing"), "{}", chain(&error));
    let mut after = files_of(&place);
    after.retain(|path, _| !path.contains("/.twopass-staging/"));
    assert!(after == before, "{:?}", after.keys());
    let stray = place.path("p/oot_data/.twopass-staging/stray");
    meanwhile(&recipe, move || fs::write(&stray, "").unwrap()).unwrap();
    assert!(files_of(&place) == before, "{:?}", files_of(&place).keys());
}

#[test]
fn every_directory_is_locked_also_those_of_the_output_that_is_replaced() {
    let (all, place) = (layouts(), Place::in_memory());
    input(&place);
    let [first, .., last] = &all[..] else { panic!() };
    let hold = |directory: &str| {
        fs::create_dir_all(place.path(directory)).unwrap();
        let lock = place.path(directory).join(".twopass-lock");
        twopass::store::lock::Lock::take(&Disk::default(), &lock, &place.path(directory))
            .unwrap()
            .removed_after(&Disk::default(), &lock)
    };
    let held = hold("p/data/train");
    let message = conflict(try_run(&recipe(&place, "p/data", last.cutoff, &last.output)));
    assert!(message.contains("data/train is in use by process"), "{message}");
    drop(held);
    run(&recipe(&place, "p/data", first.cutoff, &first.output));
    let before = files_of(&place);
    let held = hold("p/signature");
    let over = recipe(&place, "p/data", last.cutoff, &last.output);
    let message = conflict(job(&over).overwriting(true).run(&Silent).map(drop));
    assert!(message.contains("signature is in use by process"), "{message}");
    drop(held);
    assert!(files_of(&place) == before, "{:?}", files_of(&place).keys());
    job(&over).overwriting(true).run(&Silent).unwrap();
    assert!(files_of(&place) == alone(last));
}

#[test]
fn a_journal_that_is_out_of_date_takes_nothing_of_another_output() {
    let (layout, place) = (&layouts()[3], Place::in_memory());
    input(&place);
    let one = recipe(&place, "p/data", Some(CUTOFF), &layout.output);
    assert!(cut_short(&one, 0));
    fs::remove_dir_all(place.path("p/oot_data")).unwrap();
    let other = recipe(&place, "p/other", Some("2024-07-01"), &layout.output);
    run(&other);
    let before = fs::read(place.path("p/oot_data/part-00000.csv")).unwrap();
    for overwrite in [false, true] {
        let message = conflict(job(&one).overwriting(overwrite).run(&Silent).map(drop));
        assert!(message.contains("oot_data/part-00000.csv is not the file that"), "{message}");
        assert!(message.contains("move it away"), "{message}");
        assert!(fs::read(place.path("p/oot_data/part-00000.csv")).unwrap() == before);
    }
    assert_eq!(failed(&place.path("p/other")), []);
}

#[test]
fn a_part_that_somebody_changed_is_not_removed_for_the_next_output() {
    let (layout, place) = (&layouts()[0], Place::in_memory());
    input(&place);
    let recipe = recipe(&place, "p/data", layout.cutoff, &layout.output);
    run(&recipe);
    let path = place.path("p/data/part-00002.json");
    let mut bytes = fs::read(&path).unwrap();
    bytes[3] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let message = conflict(job(&recipe).overwriting(true).run(&Silent).map(drop));
    assert!(message.contains("part-00002.json is not the file that"), "{message}");
    assert!(fs::read(&path).unwrap() == bytes && place.path("p/data/_SUCCESS").is_file());
}

#[test]
fn a_file_that_came_meanwhile_is_not_overwritten() {
    let layout = &layouts()[0];
    for file in ["p/data/part-00000.json", "p/signature/signature", "p/metadata/metadata"] {
        let place = Place::in_memory();
        input(&place);
        let recipe = recipe(&place, "p/data", layout.cutoff, &layout.output);
        let path = place.path(file);
        let message = conflict(meanwhile(&recipe, move || fs::write(&path, "theirs").unwrap()));
        assert!(message.contains("leaves it alone"), "{file}: {message}");
        assert_eq!(fs::read(place.path(file)).unwrap(), b"theirs", "{file}");
        // Now there is a journal that lists it.
        let message = conflict(try_run(&recipe));
        assert!(message.contains("is not the file that"), "{file}: {message}");
        assert_eq!(fs::read(place.path(file)).unwrap(), b"theirs", "{file}");
        fs::remove_file(place.path(file)).unwrap();
        run(&recipe);
        assert!(files_of(&place) == alone(layout), "{file}");
    }
}

#[test]
fn a_directory_in_the_place_of_a_file_is_found_before_anything_is_read() {
    let layout = &layouts()[3];
    for name in ["p/data/_SUCCESS", "p/data/_manifest.json", "p/data/signature", "p/oot_data/part-00007.csv"] {
        let place = Place::in_memory();
        fs::create_dir_all(place.path(name)).unwrap();
        let recipe = recipe(&place, "p/data", layout.cutoff, &layout.output);
        let message = conflict(job(&recipe).overwriting(true).run(&Silent).map(drop));
        assert!(message.contains("is a directory, and the output needs a file there"), "{name}: {message}");
    }
}

#[test]
fn what_no_manifest_lists_is_to_be_moved_away_and_not_overwritten() {
    let (layout, place) = (&layouts()[3], Place::in_memory());
    fs::create_dir_all(place.path("p/data")).unwrap();
    fs::write(place.path("p/data/theirs"), "").unwrap();
    let message = conflict(try_run(&recipe(&place, "p/data", layout.cutoff, &layout.output)));
    assert!(message.contains("move it away") && !message.contains("--overwrite"), "{message}");
}

/// A run that was killed may have made a directory whose name is not durable.
#[test]
fn names_of_directories_are_durable_before_the_output_is() {
    let place = Place::in_memory();
    input(&place);
    fs::create_dir_all(place.path("p/data/a/b")).unwrap();
    fs::create_dir_all(place.path("p/x/y")).unwrap();
    let files = json!({ "data": ["a/b/{part}.{ext}", "../x/y/{part}.{ext}"] });
    let recipe = recipe(&place, "p/data", None, &json!({ "publish": "in_place", "files": files }));
    let synced = Arc::new(Mutex::new(Vec::new()));
    let shared = Arc::clone(&synced);
    let watch = move |operation: &twopass::disk::Operation<'_>| {
        let to = operation.to.unwrap_or(operation.path);
        let mut synced = shared.lock().unwrap();
        match operation.action {
            Action::SyncDir => synced.push(to.to_path_buf()),
            Action::Rename if to.ends_with("data/_manifest.json") => {
                for name in ["p", "p/x", "p/data", "p/data/a"] {
                    assert!(synced.contains(&place_of(to).join(name)), "{name}");
                }
            }
            _ => {}
        }
        Ok(usize::MAX)
    };
    job(&recipe).on_disk(Disk::watched(watch)).run(&Silent).unwrap();
}

/// The place of `PLACE/p/data/_manifest.json`.
fn place_of(manifest: &Path) -> &Path {
    manifest.ancestors().nth(3).unwrap()
}

#[test]
fn the_state_is_beside_an_output_whose_path_has_no_name() {
    let place = Place::in_memory();
    let here = std::env::current_dir().unwrap();
    let state = |path: &str| {
        let mut recipe = recipe(&place, "p", None, &json!({ "publish": "in_place" }));
        recipe["output"]["path"] = json!(path);
        recipe["run"].as_object_mut().unwrap().remove("state");
        job(&recipe).state_path()
    };
    let beside = |path: &Path| path.with_file_name(format!("{}.state", path.file_name().unwrap().to_str().unwrap()));
    for path in [".", "./", "data/.."] {
        assert_eq!(state(path), beside(&here), "{path}");
    }
    assert_eq!(state(&place.text("p/data/..")), place.path("p.state"));
    assert_eq!(state("some/out"), Path::new("some/out.state"));
}

/// Mounts a file system in memory, or says why not.
fn mount(path: &Path) -> Result<(), String> {
    fs::create_dir_all(path).unwrap();
    match Command::new("mount").args(["-t", "tmpfs", "tmpfs"]).arg(path).output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        Err(e) => Err(e.to_string()),
    }
}

struct Mounted(Vec<std::path::PathBuf>);

impl Drop for Mounted {
    fn drop(&mut self) {
        for path in &self.0 {
            let _ = Command::new("umount").arg(path).status();
        }
    }
}

#[test]
fn directories_may_be_file_systems_of_their_own() {
    let layout = &layouts()[3];
    let expected = alone(layout);
    let place = Place::new();
    input(&place);
    let mut mounted = Mounted(Vec::new());
    for root in layout.roots {
        if let Err(why) = mount(&place.path(root)) {
            eprintln!("skipped: nothing can be mounted here: {why}");
            return;
        }
        mounted.0.push(place.path(root));
    }
    let renamed = recipe(&place, "p/data", layout.cutoff, &json!({}));
    let Err(Error::Recipe(message)) = try_run(&renamed) else { panic!("a mount point was renamed") };
    assert!(message.contains("output.publish = \"in_place\""), "{message}");
    assert!(!place.path("state").exists(), "pass one was run");
    let recipe = recipe(&place, "p/data", layout.cutoff, &layout.output);
    run(&recipe);
    assert!(files_of(&place) == expected);
    job(&recipe).overwriting(true).run(&Silent).unwrap();
    assert!(files_of(&place) == expected);
    assert_eq!(failed(&place.path("p/data")), []);
}
