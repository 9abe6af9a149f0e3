//! Which paths can be saved to and opened, and what is left behind when that fails?

use super::*;
use crate::distance::{Element, Metric};
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

fn sample(vectors: u32) -> Sample {
    Sample::new(Element::F32, Metric::L2, 16, vectors)
}

fn names(folder: &Path) -> Vec<String> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn a_save_replaces_what_was_there_and_leaves_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index.kith");
    fs::write(&path, "something else").unwrap();
    for vectors in [100, 5] {
        save_sample(&sample(vectors), &path).unwrap();
        assert_holds(&path, &sample(vectors));
    }
    assert_eq!(names(folder.path()), ["index.kith"]);
}

#[test]
fn a_mapped_file_that_is_replaced_goes_on_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index.kith");
    save_sample(&sample(300), &path).unwrap();
    let (_, mapped) = open_store(&path, MAPPED).unwrap();
    save_sample(&sample(2), &path).unwrap();
    assert_eq!(content(&mapped), content(&sample(300).store));
    assert_holds(&path, &sample(2));
}

#[test]
fn saves_to_one_path_at_once_end_in_one_whole_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index.kith");
    save_sample(&sample(0), &path).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let savers: Vec<_> = (1..5u32)
            .map(|saver| {
                let path = &path;
                scope.spawn(move || {
                    let sample = sample(saver * 100);
                    (0..15).for_each(|_| save_sample(&sample, path).unwrap());
                })
            })
            .collect();
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let (_, store) = open_store(&path, PLAIN).unwrap();
                assert_eq!(store.live() % 100, 0);
            }
        });
        let ended: Vec<_> = savers.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        stop.store(true, Ordering::Relaxed);
        assert!(ended.iter().all(std::thread::Result::is_ok));
    });
    let count = file_info(&path).unwrap().count as u32;
    assert!(count > 0);
    assert_holds(&path, &sample(count));
    assert_eq!(names(folder.path()), ["index.kith"]);
}

#[test]
fn impossible_targets_are_refused_with_their_path() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "kept").unwrap();
    fs::create_dir(folder.path().join("directory")).unwrap();
    let long = "x".repeat(256);
    for name in ["missing/index.kith", "file/index.kith", "directory", "directory/", "directory/..", "nul\0byte", &long]
    {
        let path = folder.path().join(name);
        let error = save_sample(&sample(3), &path).unwrap_err();
        assert_eq!(error.status(), Status::Io, "{name:?}: {error}");
        let shown = format!("{}", path.display());
        let quoted = format!("{:?}", path.as_os_str());
        assert!(error.text().contains(&shown) || error.text().contains(&quoted), "{error}");
    }
    assert_eq!(save_sample(&sample(3), Path::new("")).unwrap_err().status(), Status::Io);
    let mut left = names(folder.path());
    left.sort();
    assert_eq!(left, ["directory", "file"]);
    assert!(names(&folder.path().join("directory")).is_empty());
}

#[test]
fn the_longest_name_there_can_be_is_saved() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("y".repeat(255));
    save_sample(&sample(3), &path).unwrap();
    assert_holds(&path, &sample(3));
}

#[cfg(unix)]
#[test]
fn devices_and_pipes_are_neither_replaced_nor_opened() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    let name = std::ffi::CString::new(pipe.as_os_str().as_encoded_bytes()).unwrap();
    // SAFETY: a NUL-terminated path that lives through the call.
    assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
    let link = folder.path().join("link");
    std::os::unix::fs::symlink("/dev/null", &link).unwrap();
    for path in [pipe.as_path(), &link, Path::new("/dev/null"), Path::new("/dev/zero"), folder.path()] {
        for result in
            [save_sample(&sample(1), path), open(path, PLAIN, &Pool::default()).map(drop), file_info(path).map(drop)]
        {
            let error = result.unwrap_err();
            assert_eq!(error.status(), Status::Io);
            assert!(error.text().contains(&format!("{}", path.display())), "{error}");
        }
        assert_eq!(open(path, MAPPED, &Pool::default()).unwrap_err().status(), Status::Io);
    }
    assert_eq!(names(folder.path()).len(), 2);
}

#[test]
fn files_of_others_are_refused_with_their_path() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index.kith");
    let missing = open(&path, PLAIN, &Pool::default()).unwrap_err();
    assert_eq!(missing.status(), Status::Io);
    assert!(missing.text().contains("index.kith"), "{missing}");
    let sparse = |bytes: u64| {
        let file = fs::File::create(&path).unwrap();
        file.set_len(bytes).unwrap();
    };
    let text = |content: &str| fs::write(&path, content).unwrap();
    let huge = || sparse(1 << 42);
    let makers: [&dyn Fn(); 5] =
        [&|| text(""), &|| text("k"), &|| text(&"text ".repeat(9000)), &|| sparse(5000), &huge];
    for make in makers {
        make();
        for flags in [PLAIN, MAPPED, UNCHECKED] {
            let error = open(&path, flags, &Pool::default()).unwrap_err();
            assert_eq!(error.status(), Status::Corrupt, "{error}");
            assert!(error.text().contains("index.kith: not a kith file"), "{error}");
        }
        assert_eq!(file_info(&path).unwrap_err().status(), Status::Corrupt);
    }
}

#[test]
fn a_huge_sparse_tail_is_refused_before_anything_is_allocated() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index.kith");
    save_sample(&sample(10), &path).unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_len(1 << 42).unwrap();
    for flags in [PLAIN, MAPPED, UNCHECKED] {
        let error = open(&path, flags, &Pool::default()).unwrap_err();
        assert!(error.text().contains("appended"), "{error}");
    }
}

#[cfg(unix)]
#[test]
fn a_full_disk_leaves_the_old_file_and_no_other() {
    const CHILD: &str = "KITH_TEST_FULL_DISK";
    if let Some(path) = std::env::var_os(CHILD) {
        // SAFETY: plain calls that change this process only, which is a child that runs nothing but this test.
        unsafe {
            libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
            let limit = libc::rlimit { rlim_cur: 100_000, rlim_max: 100_000 };
            assert_eq!(libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit), 0);
        }
        let error = save_sample(&sample(5000), Path::new(&path)).unwrap_err();
        assert_eq!(error.status(), Status::Io);
        assert!(error.text().contains("index.kith") && error.text().contains("too large"), "{error}");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index.kith");
    save_sample(&sample(10), &path).unwrap();
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "persist::tests::target::a_full_disk_leaves_the_old_file_and_no_other", "--test-threads=1"])
        .env(CHILD, &path)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success() && said.contains("1 passed"), "{said}");
    assert_holds(&path, &sample(10));
    assert_eq!(names(folder.path()), ["index.kith"]);
}

#[cfg(unix)]
#[test]
fn a_directory_that_cannot_be_written_or_synced_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    const CHILD: &str = "KITH_TEST_NO_PERMISSION";
    if let Some(path) = std::env::var_os(CHILD) {
        // SAFETY: gives up the rights of root, for which no directory is closed, in a child that runs nothing but this test.
        unsafe { libc::seteuid(65_534) };
        let error = save_sample(&sample(10), Path::new(&path)).unwrap_err();
        assert_eq!(error.status(), Status::Io);
        assert!(error.text().contains("index.kith") && error.text().contains("denied"), "{error}");
        return;
    }
    for mode in [0o555, 0o333] {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("inner");
        let path = inner.join("index.kith");
        fs::create_dir(&inner).unwrap();
        save_sample(&sample(3), &path).unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(&inner, fs::Permissions::from_mode(mode)).unwrap();
        let child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "persist::tests::target::a_directory_that_cannot_be_written_or_synced_is_refused"])
            .arg("--test-threads=1")
            .env(CHILD, &path)
            .output()
            .unwrap();
        fs::set_permissions(&inner, fs::Permissions::from_mode(0o755)).unwrap();
        let said = String::from_utf8_lossy(&child.stdout);
        assert!(child.status.success() && said.contains("1 passed"), "{said}");
        assert_holds(&path, &sample(3));
        assert_eq!(names(&inner), ["index.kith"]);
    }
}

#[cfg(unix)]
#[test]
fn a_path_without_a_directory_means_the_current_one() {
    const CHILD: &str = "KITH_TEST_CURRENT_DIRECTORY";
    if std::env::var_os(CHILD).is_some() {
        save_sample(&sample(10), Path::new("index.kith")).unwrap();
        assert_holds(Path::new("index.kith"), &sample(10));
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "persist::tests::target::a_path_without_a_directory_means_the_current_one",
            "--test-threads=1",
        ])
        .current_dir(folder.path())
        .env(CHILD, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success() && said.contains("1 passed"), "{said}");
    assert_holds(&folder.path().join("index.kith"), &sample(10));
    assert_eq!(names(folder.path()), ["index.kith"]);
}
