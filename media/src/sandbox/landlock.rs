//! Which files a caged program may read, where the kernel can say so (Landlock).

use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreatedAttr,
};

/// Where programs and their libraries are, and what they read when they start.
const READABLE: &[&str] = &[
    "/usr",
    "/lib",
    "/lib64",
    "/lib32",
    "/bin",
    "/opt",
    "/nix/store",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/ld.so.preload",
    "/dev/null",
    "/dev/urandom",
    "/sys/devices/system/cpu",
    "/proc/cpuinfo",
    "/proc/meminfo",
];

/// From here on nothing else can be opened, but for what was handed over: an anonymous file is on no path. Where the kernel
/// knows nothing of this, it does nothing.
pub(super) fn restrict(program: &Path) {
    let _unknown_to_the_kernel = try_restrict(program);
}

fn try_restrict(program: &Path) -> Option<()> {
    let all = AccessFs::from_all(ABI::V3);
    let created = Ruleset::default().set_compatibility(CompatLevel::BestEffort).handle_access(all).ok()?;
    let mut created = created.create().ok()?;
    let folder = program.parent().map(Path::to_path_buf);
    for path in READABLE.iter().map(Path::new).chain(folder.as_deref()) {
        let Ok(opened) = PathFd::new(path) else { continue };
        let read: BitFlags<AccessFs> = if path.is_dir() {
            AccessFs::from_read(ABI::V3)
        } else {
            AccessFs::from_file(ABI::V3) & AccessFs::from_read(ABI::V3)
        };
        created = created.add_rule(PathBeneath::new(opened, read)).ok()?;
    }
    created.restrict_self().ok().map(|_| ())
}
