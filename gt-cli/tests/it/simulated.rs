//! Crowds on virtual time, from the command line.

use crate::world::World;

const SMALL: [&str; 8] = [
    "swarm", "simulate", "--peers", "12", "--size", "2", "--piece", "16",
];

#[test]
fn a_crowd_is_simulated_the_same_each_time() {
    let world = World::new();
    let words = world.gt(&SMALL);
    for part in ["bound", "last", "origin", "of bound"] {
        assert!(words.contains(part), "{part} is not in {words}");
    }
    let mut json = SMALL.to_vec();
    json.push("--json");
    let one = world.gt(&json);
    assert_eq!(one, world.gt(&json));
    let told: serde_json::Value = serde_json::from_str(&one).unwrap();
    assert_eq!(told["times_s"].as_array().unwrap().len(), 12);
    let share = told["share_of_bound"].as_f64().unwrap();
    assert!((0.4..=1.0).contains(&share), "{share}");
    let same = [&json[..], &["--degree", "40"]].concat();
    assert_eq!(one, world.gt(&same), "that many they have anyway");
    for other in [["--seed", "2"], ["--degree", "8"]] {
        let words = [&json[..], &other].concat();
        assert_ne!(one, world.gt(&words), "{other:?}");
    }
}

#[test]
fn numbers_that_make_no_crowd_are_named() {
    let world = World::new();
    for (more, part) in [
        (["--piece", "17"], "power of two"),
        (["--liars", "101"], "between 0 and 100"),
        (["--up", "0"], "Mbit/s"),
        (["--latency", "1e9"], "latency"),
    ] {
        let mut words = vec!["swarm", "simulate", "--peers", "3"];
        words.extend(more);
        let (code, said) = world.gt_fails(&words);
        assert_eq!(code, 2, "{said}");
        assert!(said.contains(part), "{part} is not in {said}");
    }
}
