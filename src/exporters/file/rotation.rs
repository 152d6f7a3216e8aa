//! Files put aside: their names tell when, and that decides which stay.
//!
//! `traces.json` becomes `traces-2026-09-14T05-02-14.173.json`, as in the Collector.

use crate::base::Nanos;
use crate::exporters::civil::{Civil, to_moment};
use crate::exporters::file::config::RotationConfig;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

const MILLISECOND: Duration = Duration::from_millis(1);
const DAY: Duration = Duration::from_secs(86_400);

/// Renames the file. A name that is taken is never overwritten: the next millisecond's is used.
pub(super) fn put_aside(path: &Path, now: Nanos) -> io::Result<()> {
    let mut moment = now;
    loop {
        let aside = name_aside(path, moment);
        if !aside.try_exists()? {
            return fs::rename(path, aside);
        }
        moment = moment.plus(MILLISECOND);
    }
}

/// Removes what the bounds no longer allow, oldest first. Files that only look alike are left alone.
pub(super) fn clean(path: &Path, rotation: &RotationConfig, now: Nanos) -> io::Result<()> {
    let mut aside = Vec::new();
    for entry in fs::read_dir(directory(path))? {
        let found = entry?.path();
        if let Some(moment) = moment_of(path, &found) {
            aside.push((moment, found));
        }
    }
    aside.sort_unstable_by(|one, other| other.cmp(one));
    let most = match rotation.max_backups {
        0 => usize::MAX,
        most => most,
    };
    for (index, (moment, file)) in aside.iter().enumerate() {
        let days = now.since(*moment).as_secs() / DAY.as_secs();
        let is_old = rotation.max_days > 0 && days >= rotation.max_days;
        if index >= most || is_old {
            fs::remove_file(file)?;
        }
    }
    Ok(())
}

/// Where a file lies; the working directory for a bare name.
fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory,
        _ => Path::new("."),
    }
}

/// A path without its extension, and the extension with its dot.
fn cut(path: &Path) -> (String, String) {
    let text =
        |part: Option<&std::ffi::OsStr>| part.unwrap_or_default().to_string_lossy().into_owned();
    let extension = text(path.extension());
    let dot = if extension.is_empty() { "" } else { "." };
    (text(path.file_stem()), format!("{dot}{extension}"))
}

fn name_aside(path: &Path, moment: Nanos) -> PathBuf {
    let (stem, extension) = cut(path);
    let c = Civil::of(moment);
    path.with_file_name(format!(
        "{stem}-{:04}-{:02}-{:02}T{:02}-{:02}-{:02}.{:03}{extension}",
        c.year,
        c.month,
        c.day,
        c.hour,
        c.minute,
        c.second,
        c.nanos / 1_000_000
    ))
}

/// When a file was put aside, if it is one of this path's.
fn moment_of(path: &Path, found: &Path) -> Option<Nanos> {
    let (stem, extension) = cut(path);
    let name = found.file_name()?.to_str()?;
    let stamp = name
        .strip_prefix(stem.as_str())?
        .strip_prefix('-')?
        .strip_suffix(extension.as_str())?;
    let (date, time) = stamp.split_once('T')?;
    let numbers = |text: &str| -> Option<Vec<u64>> {
        text.split(['-', '.'])
            .map(|part| part.parse().ok())
            .collect()
    };
    let (date, time) = (numbers(date)?, numbers(time)?);
    let (&[year, month, day], &[hour, minute, second, millis]) = (date.as_slice(), time.as_slice())
    else {
        return None;
    };
    if !(1..=9999).contains(&year)
        || month > 12
        || day > 31
        || hour > 23
        || minute > 59
        || second > 60
        || millis > 999
    {
        return None;
    }
    let moment = to_moment(Civil {
        year,
        month,
        day,
        hour,
        minute,
        second,
        nanos: millis * 1_000_000,
    })?;
    // the name must be the one that we would give: so nothing else is ever removed
    (name_aside(path, moment).file_name() == found.file_name()).then_some(moment)
}
