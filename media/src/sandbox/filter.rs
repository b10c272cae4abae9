//! Which system calls a caged program has (seccomp).
//!
//! Two filters, of which the kernel follows the stricter. What a decoder never does and an intruder would is deadly. What is
//! in the list is allowed; everything else is not there (ENOSYS), so that a newer library falls back to what it did before.

use std::collections::BTreeMap;
use std::os::fd::{AsRawFd, OwnedFd};

use libc::c_long;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// The filters, in the order to install them. `program` may be executed, once: whoever starts it closes it on that.
pub(super) fn compile(program: &OwnedFd) -> Result<[BpfProgram; 2], BackendError> {
    let arch: TargetArch = std::env::consts::ARCH.try_into()?;
    let errno = SeccompAction::Errno(libc::ENOSYS as u32);
    let deadly = SeccompFilter::new(deadly()?, SeccompAction::Allow, SeccompAction::KillProcess, arch)?;
    let allowed = SeccompFilter::new(allowed(program)?, errno, SeccompAction::Allow, arch)?;
    Ok([deadly.try_into()?, allowed.try_into()?])
}

/// What ends it.
fn deadly() -> Result<Rules, BackendError> {
    let mut rules = any(DEADLY);
    #[cfg(target_arch = "x86_64")]
    rules.extend(any(DEADLY_OLD));
    // Another program: our own execveat is told apart by the file it names, in the other filter.
    rules.insert(libc::SYS_clone, vec![rule(vec![masked(0, THREAD, 0)?])?]);
    // Opening to write, make, cut, or append.
    for (call, argument) in opens() {
        rules.insert(call, writes(argument)?);
    }
    Ok(rules)
}

/// What it has.
fn allowed(program: &OwnedFd) -> Result<Rules, BackendError> {
    let mut rules = any(ALLOWED);
    #[cfg(target_arch = "x86_64")]
    rules.extend(any(ALLOWED_OLD));
    rules.extend(opens().map(|(call, _)| (call, Vec::new())));
    rules.insert(libc::SYS_clone, vec![rule(vec![masked(0, THREAD, THREAD)?])?]);
    // Its own limits may be read, not set; its name may be set.
    rules.insert(libc::SYS_prlimit64, vec![rule(vec![is(2, 0)?])?]);
    rules.insert(libc::SYS_prctl, vec![rule(vec![is(0, libc::PR_SET_NAME as u64)?])?]);
    let file = u64::try_from(program.as_raw_fd()).unwrap_or(u64::MAX);
    let by_file = vec![is(0, file)?, is(4, libc::AT_EMPTY_PATH as u64)?];
    rules.insert(libc::SYS_execveat, vec![rule(by_file)?]);
    Ok(rules)
}

/// A thread shares memory and is one of its process.
const THREAD: u64 = (libc::CLONE_VM | libc::CLONE_THREAD) as u64;

/// Calls that open files, and which argument has the flags.
fn opens() -> impl Iterator<Item = (c_long, u8)> {
    #[cfg(target_arch = "x86_64")]
    let old = Some((libc::SYS_open, 1));
    #[cfg(not(target_arch = "x86_64"))]
    let old = None;
    old.into_iter().chain([(libc::SYS_openat, 2)])
}

/// Rules that match flags of which one writes.
fn writes(argument: u8) -> Result<Vec<SeccompRule>, BackendError> {
    let flags = [libc::O_WRONLY, libc::O_RDWR, libc::O_CREAT, libc::O_TRUNC, libc::O_APPEND];
    flags.into_iter().map(|flag| rule(vec![masked(argument, flag as u64, flag as u64)?])).collect()
}

fn any(calls: &[c_long]) -> Rules {
    calls.iter().map(|call| (*call, Vec::new())).collect()
}

fn rule(conditions: Vec<SeccompCondition>) -> Result<SeccompRule, BackendError> {
    SeccompRule::new(conditions)
}

fn is(argument: u8, value: u64) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, value)
}

/// Whether what `mask` leaves of an argument is `value`.
fn masked(argument: u8, mask: u64, value: u64) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(mask), value)
}

const DEADLY: &[c_long] = &[
    libc::SYS_socket,
    libc::SYS_socketpair,
    libc::SYS_connect,
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_sendmmsg,
    libc::SYS_execve,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_kill,
    libc::SYS_tkill,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_pidfd_send_signal,
    libc::SYS_io_uring_setup,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_open_by_handle_at,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_kexec_load,
    libc::SYS_reboot,
];

#[cfg(target_arch = "x86_64")]
const DEADLY_OLD: &[c_long] = &[libc::SYS_fork, libc::SYS_vfork, libc::SYS_creat];

const ALLOWED: &[c_long] = &[
    // Reading and writing what is open.
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_pread64,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_lseek,
    libc::SYS_close,
    libc::SYS_dup,
    libc::SYS_fcntl,
    libc::SYS_fadvise64,
    libc::SYS_pipe2,
    libc::SYS_eventfd2,
    libc::SYS_ppoll,
    libc::SYS_pselect6,
    // Looking at files.
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_statfs,
    libc::SYS_fstatfs,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_readlinkat,
    libc::SYS_getdents64,
    libc::SYS_getcwd,
    // Memory.
    libc::SYS_brk,
    libc::SYS_mmap,
    libc::SYS_mprotect,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_membarrier,
    // Threads.
    libc::SYS_futex,
    libc::SYS_set_robust_list,
    libc::SYS_set_tid_address,
    libc::SYS_rseq,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_yield,
    libc::SYS_sched_getparam,
    libc::SYS_sched_getscheduler,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    libc::SYS_exit,
    libc::SYS_exit_group,
    // The time, and who it is.
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_times,
    libc::SYS_getrusage,
    libc::SYS_sysinfo,
    libc::SYS_uname,
    libc::SYS_getrandom,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
];

#[cfg(target_arch = "x86_64")]
const ALLOWED_OLD: &[c_long] = &[
    libc::SYS_arch_prctl,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_access,
    libc::SYS_readlink,
    libc::SYS_poll,
    libc::SYS_select,
    libc::SYS_dup2,
    libc::SYS_pipe,
    libc::SYS_time,
    libc::SYS_getrlimit,
];
