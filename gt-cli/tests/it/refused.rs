//! What is refused, with words that help and nothing lost.

use crate::world::{World, with_peer};

const NOBODY: &str = "gt://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

#[test]
fn nobody_has_it_and_the_message_says_what_was_tried() {
    let world = World::new();
    let tracker = world.start(&["tracker", "--listen", "127.0.0.1:0"]);
    let line = tracker.line();
    let url = line.split_whitespace().last().unwrap();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = silent.local_addr().unwrap().to_string();
    let address = format!("{NOBODY}?tr={url}&tr=http://127.0.0.1:9/announce&x.pe={peer}");
    let (code, words) = world.gt_fails(&["clone", "--mirror", "--wait", "3", &address, "m.git"]);
    assert_eq!(code, 1);
    for part in ["within 3 s", url, &peer] {
        assert!(words.contains(part), "{part} is not in {words}");
    }
    let output = world.run("git", &["-c", "gt.wait=2", "clone", &address, "c"]);
    assert!(!output.status.success());
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(words.contains("nobody who has the repository"), "{words}");
    assert!(!world.path("c").exists());
}

#[test]
fn an_unreachable_tracker_is_named() {
    let world = World::new();
    let address = format!("{NOBODY}?tr=http://127.0.0.1:9/announce");
    let (code, words) = world.gt_fails(&["clone", "--mirror", "--wait", "2", &address, "m.git"]);
    assert_eq!(code, 1);
    assert!(words.contains("127.0.0.1:9"), "{words}");
}

#[test]
fn an_existing_target_is_left_alone() {
    let world = World::new();
    std::fs::create_dir(world.path("full")).unwrap();
    std::fs::write(world.path("full/mine"), "mine").unwrap();
    let (code, words) = world.gt_fails(&["clone", "--mirror", NOBODY, "full"]);
    assert_eq!(code, 1);
    assert!(words.contains("not an empty directory"), "{words}");
    assert_eq!(std::fs::read_dir(world.path("full")).unwrap().count(), 1);
}

#[test]
fn addresses_are_read_strictly() {
    let world = World::new();
    for bad in [
        "gt://short",
        "https://example.org/x",
        &format!("{NOBODY}?tr=a%0ab"),
        &format!("{NOBODY}?unknown=1"),
        &format!("gt://user@{}", &NOBODY[5..]),
        &format!("{NOBODY}:99"),
    ] {
        let (code, words) = world.gt_fails(&["clone", "--mirror", "--", bad, "m.git"]);
        assert_eq!(code, 1, "{bad}: {words}");
        assert!(!world.path("m.git").exists());
    }
    assert_eq!(world.gt_fails(&["clone"]).0, 2);
}

#[test]
fn a_plain_repository_has_nothing_to_seed() {
    let world = World::new();
    world.repository("work");
    for verb in ["seed", "status"] {
        let (code, words) = world.gt_fails(&[verb, "-C", "work"]);
        assert_eq!(code, 1);
        assert!(words.contains("neither published nor cloned"), "{words}");
    }
    assert_eq!(world.gt_fails(&["publish", "-C", "nowhere"]).0, 2);
}

#[test]
fn a_shallow_repository_is_not_published() {
    let world = World::new();
    world.repository("work");
    let url = format!("file://{}", world.path("work").display());
    world.git(&["clone", "-q", "--depth", "1", &url, "shallow"]);
    let (code, words) = world.gt_fails(&["publish", "-C", "shallow"]);
    assert_eq!(code, 1);
    assert!(words.contains("shallow"), "{words}");
}

#[test]
fn a_clone_of_another_repository_is_not_mixed_in() {
    let world = World::new();
    world.repository("one");
    world.repository("two");
    let one = world.publish("one", &[]);
    let two = world.publish("two", &[]);
    let (_a, place_one) = world.seed("one", &[]);
    let (_b, place_two) = world.seed("two", &[]);
    world.git(&["clone", "-q", &with_peer(&one, &place_one), "clone"]);
    let other = with_peer(&two, &place_two);
    let output = world.run("git", &["-C", "clone", "fetch", &other]);
    assert!(!output.status.success());
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(words.contains("this repository follows gt://"), "{words}");
}

#[test]
fn damaged_state_is_named_and_not_taken_for_absent() {
    let world = World::new();
    world.repository("work");
    world.publish("work", &[]);
    std::fs::write(world.path("work/.git/gt/mark"), "gt mark 1\n").unwrap();
    world.commit("work", "a.txt", "a\n");
    let (code, words) = world.gt_fails(&["publish", "-C", "work"]);
    assert_eq!(code, 2);
    assert!(words.contains("gt/mark: damaged"), "{words}");
}
