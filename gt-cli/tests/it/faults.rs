//! History with faults that git's fsck names: who lets them pass, and how.

use crate::world::{World, with_peer};

const LINE: &str = "git config --global fetch.fsck.zeroPaddedFilemode warn";

/// Gives `main` a commit as the first gits made them: a mode begins with
/// zeros.
fn with_old_fault(world: &World, repository: &str) {
    let git = |words: &[&str]| {
        let said = world.git(&[&["-C", repository], words].concat());
        said.trim().to_owned()
    };
    let blob = git(&["rev-parse", "HEAD:file-0.txt"]);
    let mut tree = b"0100644 old.txt\0".to_vec();
    let digits = blob.as_bytes().chunks(2);
    tree.extend(digits.map(|d| u8::from_str_radix(std::str::from_utf8(d).unwrap(), 16).unwrap()));
    std::fs::write(world.path("tree"), tree).unwrap();
    let words = ["hash-object", "-w", "--literally", "-t", "tree", "../tree"];
    let tree = git(&words);
    let commit = git(&["commit-tree", &tree, "-p", "HEAD", "-m", "old"]);
    git(&["update-ref", "refs/heads/main", &commit]);
    git(&["reset", "-q", "--hard"]);
}

#[test]
fn old_faults_pass_where_the_configuration_says_so() {
    let world = World::new();
    world.repository("work");
    with_old_fault(&world, "work");
    let (code, words) = world.gt_fails(&["publish", "-C", "work"]);
    assert!(code == 1 && words.contains(LINE), "{words}");
    let key = "fetch.fsck.zeroPaddedFilemode";
    world.git(&["-C", "work", "config", key, "warn"]);
    let output = world.run(env!("CARGO_BIN_EXE_gt"), &["publish", "-C", "work"]);
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words}");
    // The publisher hears what others have to do.
    assert!(
        words.contains("others refuse") && words.contains(LINE),
        "{words}"
    );
    let address = String::from_utf8(output.stdout).unwrap();
    let (_seed, place) = world.seed("work", &[]);
    let from = with_peer(address.trim(), &place);

    let (code, words) = world.gt_fails(&["clone", "--mirror", &from, "m.git"]);
    assert!(code == 1 && words.contains(LINE), "{words}");
    assert_eq!(world.refs("m.git"), "");
    // For one clone, as git takes it; and then for all.
    let relaxed = format!("{key}=warn");
    world.git(&["-c", &relaxed, "clone", "-q", &from, "c"]);
    world.git(&["-C", "c", "cat-file", "-e", "HEAD:old.txt"]);
    world.git(&["config", "--global", key, "warn"]);
    world.gt(&["clone", "--mirror", &from, "m.git"]);
    assert_eq!(world.refs("m.git"), world.refs("work"));
}

/// Who says that git's checks are not wanted gets none; names that become
/// `.git` are refused all the same.
#[test]
fn no_checks_where_they_are_not_wanted_and_never_a_dotgit() {
    let world = World::new();
    world.git(&["config", "--global", "transfer.fsckObjects", "false"]);
    world.repository("work");
    with_old_fault(&world, "work");
    let address = world.publish("work", &[]);
    let (_seed, place) = world.seed("work", &[]);
    world.gt(&["clone", "--mirror", &with_peer(&address, &place), "m.git"]);
    assert_eq!(world.refs("m.git"), world.refs("work"));

    let blob = world.git(&["-C", "work", "rev-parse", "HEAD:old.txt"]);
    let listed = format!("100644 blob {}\t.GIT\n", blob.trim());
    std::fs::write(world.path("listed"), listed).unwrap();
    let made = world.run("sh", &["-c", "git -C work mktree < listed"]);
    let tree = String::from_utf8(made.stdout).unwrap();
    world.git(&["-C", "work", "tag", "disguised", tree.trim()]);
    let (code, words) = world.gt_fails(&["publish", "-C", "work"]);
    assert!(code == 1 && words.contains("becomes .git"), "{words}");
}

/// What was refused stays here: when the person lets the fault pass it is
/// judged again, with nobody there who could send it.
#[test]
fn what_was_refused_is_judged_again_once_it_may_pass() {
    let key = "fetch.fsck.zeroPaddedFilemode";
    let world = World::new();
    world.repository("work");
    world.git(&["-C", "work", "config", key, "warn"]);
    let address = world.publish("work", &[]);
    let (seed, place) = world.seed("work", &[]);
    let from = with_peer(&address, &place);
    world.gt(&["clone", "--mirror", &from, "fetched.git"]);
    world.gt(&["clone", "--mirror", &from, "running.git"]);
    let (running, second) = world.seed("running.git", &[]);
    running.wait_until(|event| event["event"] == "complete");

    // Too much to ride along with its statement.
    world.noise("work", 200_000);
    with_old_fault(&world, "work");
    world.publish("work", &[]);
    running.wait_until(|event| {
        event["event"] == "failed" && event["why"].as_str().is_some_and(|why| why.contains(LINE))
    });
    for _ in 0..2 {
        let (code, words) = world.gt_fails(&["fetch", "-C", "fetched.git"]);
        assert!(code == 1 && words.contains(LINE), "{words}");
    }

    seed.kill();
    assert_ne!(world.refs("running.git"), world.refs("work"));
    for repository in ["running.git", "fetched.git"] {
        world.git(&["-C", repository, "config", key, "warn"]);
    }
    running.wait_until(|event| event["event"] == "refs" && event["sequence"] == 2);
    // Whoever says that it is the newest need not send it.
    let partial = world.path("fetched.git/gt/partial");
    assert_eq!(std::fs::read_dir(&partial).unwrap().count(), 1);
    world.gt(&["fetch", "-C", "fetched.git", "--peer", &second]);
    assert_eq!(std::fs::read_dir(&partial).unwrap().count(), 0);
    for repository in ["running.git", "fetched.git"] {
        assert_eq!(world.refs(repository), world.refs("work"));
    }
}
