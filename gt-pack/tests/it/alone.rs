//! Tests whose memory is measured, and that have a process to themselves.

/// Runs an ignored test of this program in a process of its own.
pub(crate) fn alone(test: &str) {
    let exe = std::env::current_exe().unwrap();
    let inside = ["--exact", test, "--ignored", "--nocapture"];
    let child = std::process::Command::new(exe)
        .args(inside)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success(), "{said}");
    assert!(said.contains("1 passed"), "{said}");
}
