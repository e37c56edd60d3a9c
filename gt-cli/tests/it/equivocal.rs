//! Two statements of one place by one key: kept, shown and passed on, by
//! whatever way they come.

use gt_cli::git::Git;
use gt_cli::op::proposal::{Proposal, Text};
use gt_cli::signing::Sealer;
use gt_cli::state::State;
use gt_trust::Time;
use gt_trust::seal::Subject;
use serde_json::Value;

use crate::endorsed::{json, person};
use crate::world::{World, with_peer};

/// Writes another statement for the place of the one that holds, which wins
/// against it or loses, with the person's own seal: any program can make it.
fn rival(world: &World, repository: &str, file: &str, wins: bool) {
    let env = world.env();
    let git = Git::at(&env, world.path(repository));
    let state = State::of(&git.common_dir().unwrap());
    let held = state.accepted().unwrap().unwrap().text;
    let before = state.statement(&held.previous.unwrap().identity);
    let before = before.unwrap().unwrap().text;
    // Some get through with the first try, and some take thousands.
    let mut others = (0..1 << 20).map(|n| {
        let mut draft = before.next(Time(held.created.0 + 1));
        draft.description(Some(format!("another, {n}")));
        draft.finish().unwrap()
    });
    let text = others.find(|text| (text.mark() > held.mark()) == wins);
    let text = text.expect("a statement on the other side of a hash");
    let keys = env.data_folder().unwrap().join("keys");
    let sealer = Sealer::find(&git, Some(&keys), held.created).unwrap();
    let subject = Subject::of_statement(&text);
    let seal = sealer.seal(&subject, text.object_format, text.as_bytes(), held.created);
    let keyring = state.keyring().unwrap().unwrap_or_default();
    let mut proposal = Proposal::new(Text::Statement(text.into()), keyring);
    proposal.seals.push(seal.unwrap().as_bytes().to_vec());
    std::fs::write(world.path(file), proposal.to_bytes()).unwrap();
}

/// Returns the exit code of `gt log` and how many equivocations it shows.
fn shown(world: &World, repository: &str) -> (i32, usize) {
    let args = ["log", "-C", repository, "--json"];
    let output = world.run(env!("CARGO_BIN_EXE_gt"), &args);
    let value: Value = serde_json::from_slice(&output.stdout).unwrap();
    let evidence = value["equivocations"].as_array().unwrap();
    (output.status.code().unwrap(), evidence.len())
}

/// A file brings the second statement; who clones hears of both seals.
fn a_file_and_then_a_clone(world: &mut World) {
    let address = world.publish("work", &[]);
    world.commit("work", "later.txt", "later\n");
    world.publish("work", &[]);
    assert_eq!(shown(world, "work"), (0, 0));
    rival(world, "work", "rival", false);
    let (code, words) = world.gt_fails(&["endorse", "-C", "work", "--no-seal", "rival"]);
    assert_eq!(code, 5, "{words}");
    assert!(
        words.contains("another statement won this place"),
        "{words}"
    );
    assert_eq!(shown(world, "work"), (5, 1));
    let status = world.gt(&["status", "-C", "work"]);
    assert!(status.contains("Equivocation: "), "{status}");
    let (_seed, place) = world.seed("work", &[]);
    world.person("bela");
    let address = with_peer(&address, &place);
    world.gt(&["clone", "--mirror", &address, "bela.git"]);
    assert_eq!(shown(world, "bela.git"), (5, 1));
}

/// Files that nobody's name is noted with, however many, leave room for what a
/// delegate did; and of what one did in an epoch one proof is enough.
#[test]
fn nobodys_evidence_hides_anothers() {
    let world = World::new();
    world.repository("work");
    world.publish("work", &[]);
    world.commit("work", "later.txt", "later\n");
    world.publish("work", &[]);
    let folder = world.path("work/.git/gt/evidence");
    std::fs::create_dir_all(&folder).unwrap();
    for n in 0..256 {
        let name = format!("{n:064x}-{n:064x}");
        std::fs::write(folder.join(name), "gt evidence 1\n").unwrap();
    }
    for (file, wins) in [("rival", false), ("again", true)] {
        rival(&world, "work", file, wins);
        world.run(
            env!("CARGO_BIN_EXE_gt"),
            &["endorse", "-C", "work", "--no-seal", file],
        );
        assert_eq!(shown(&world, "work"), (5, 257), "{file}");
    }
}

#[test]
fn equivocation_in_a_file_is_kept_shown_and_passed_on() {
    let mut world = World::new();
    world.person("ann");
    world.repository("work");
    a_file_and_then_a_clone(&mut world);
}

/// There is no keyring to go with the seals of SSH keys.
#[test]
#[ignore = "needs ssh-keygen"]
fn equivocation_of_an_ssh_key_is_kept_shown_and_passed_on() {
    let mut world = World::new();
    world.person("ann");
    world.repository("work");
    let key = world.path("key");
    let key = key.to_str().unwrap();
    world.run("ssh-keygen", &["-q", "-N", "", "-t", "ed25519", "-f", key]);
    for (name, value) in [("gpg.format", "ssh"), ("user.signingkey", key)] {
        world.git(&["config", "--global", name, value]);
    }
    a_file_and_then_a_clone(&mut world);
}

/// One seal of two is too few for the second statement, and evidence enough.
#[test]
fn a_proposal_is_evidence_against_what_holds() {
    let mut world = World::new();
    let (bela, ring) = person(&mut world, "bela");
    world.person("ann");
    world.repository("work");
    world.publish("work", &[]);
    let edit = ["charter", "edit", "-C", "work", "--add", &bela];
    let more = ["--keyring", &ring, "--threshold", "2", "--output", "next"];
    world.gt(&[&edit[..], &more].concat());
    world.person("bela");
    // A copy stands for a clone.
    world.git(&["init", "-q", "--bare", "bela.git"]);
    let (from, to) = (world.path("work/.git/gt"), world.path("bela.git/gt"));
    copied(&from, &to);
    let endorse = ["charter", "endorse", "-C", "bela.git", "next", "-o", "next"];
    world.gt(&endorse);
    world.person("ann");
    world.gt(&["charter", "endorse", "-C", "work", "next"]);
    for n in 0..2 {
        world.commit("work", "more.txt", &format!("{n}\n"));
        world.publish("work", &[]);
        let waiting = json(&world, &["endorse", "-C", "work", "--json"]);
        let identity = waiting[0]["identity"].as_str().unwrap().to_owned();
        world.gt(&["endorse", "-C", "work", &identity, "-o", "statement"]);
        world.person("bela");
        world.gt(&["endorse", "-C", "bela.git", "statement", "-o", "statement"]);
        world.person("ann");
        world.gt(&["endorse", "-C", "work", "--no-seal", "statement"]);
    }
    assert_eq!(shown(&world, "work"), (0, 0));
    rival(&world, "work", "rival", true);
    let told = json(
        &world,
        &["endorse", "-C", "work", "--no-seal", "rival", "--json"],
    );
    assert_eq!(told["complete"], false, "{told}");
    assert_eq!(shown(&world, "work"), (5, 1));
}

pub(crate) fn copied(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let there = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copied(&entry.path(), &there),
            false => drop(std::fs::copy(entry.path(), there).unwrap()),
        }
    }
}
