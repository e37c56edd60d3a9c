//! Checks a release tag against a keyring.
//!
//! ```text
//! git cat-file tag v2.47.3 > tag
//! git cat-file blob junio-gpg-pub > keys
//! cargo run -p gt-trust --example release-tag tag keys
//! good signature by … (subkey …)
//! ```

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use gt_trust::Time;
use gt_trust::object::{Checker, Grade, Kind, Object, Rings};

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [tag, keyring] = &args[..] else {
        return Err("usage: release-tag TAG KEYRING".into());
    };
    let mut rings = Rings::default();
    rings.add(&std::fs::read(keyring)?)?;
    let tag = Object::parse(&std::fs::read(tag)?, Some(Kind::Tag))?;

    let now = Time(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs());
    let findings = Checker::new(&rings, now).check(&tag);
    for finding in &findings {
        println!("{}", finding.verdict);
    }
    let good = findings.iter().all(|f| f.verdict.grade() == Grade::Good);
    Ok(if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
