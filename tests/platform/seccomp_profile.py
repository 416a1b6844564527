"""The seccomp profile of a Garden container: an allow-list, and an error for everything else.

Not in it, so that a program has to do without: close_range, clone3, pidfd_*, landlock_*, io_uring_*,
bpf, rseq, mount, setns, unshare, and clone() for new namespaces.
"""

ALLOWED = """
access chdir chmod chown chroot close copy_file_range creat dup dup2 dup3 faccessat fadvise64
fallocate fchdir fchmod fchmodat fchown fchownat fcntl fdatasync fgetxattr flistxattr flock
fremovexattr fsetxattr fstat fstatfs fsync ftruncate futimesat getcwd getdents getdents64 getxattr
ioctl lchown lgetxattr link linkat listxattr llistxattr lremovexattr lseek lsetxattr lstat mkdir
mkdirat mknod mknodat newfstatat open openat openat2 pread64 preadv pwrite64 pwritev read readahead
readlink readlinkat readv removexattr rename renameat renameat2 rmdir sendfile setxattr stat statfs
statx symlink symlinkat sync sync_file_range syncfs truncate umask unlink unlinkat utime utimensat
utimes write writev

pipe pipe2 splice tee vmsplice memfd_create
epoll_create epoll_create1 epoll_ctl epoll_pwait epoll_wait eventfd eventfd2 fanotify_mark
inotify_add_watch inotify_init inotify_init1 inotify_rm_watch poll ppoll pselect6 select
io_cancel io_destroy io_getevents io_setup io_submit

accept accept4 bind connect getpeername getsockname getsockopt listen recvfrom recvmmsg recvmsg
sendmmsg sendmsg sendto setsockopt shutdown socket socketpair

brk madvise mincore mlock mlock2 mlockall mmap mprotect mremap msync munlock munlockall munmap
remap_file_pages

arch_prctl capget capset execve execveat exit exit_group fork getcpu getegid geteuid getgid getgroups
getitimer getpgid getpgrp getpid getppid getpriority getresgid getresuid getrlimit getrusage getsid
gettid getuid ioprio_get ioprio_set modify_ldt prctl prlimit64 ptrace sched_get_priority_max
sched_get_priority_min sched_getaffinity sched_getattr sched_getparam sched_getscheduler
sched_rr_get_interval sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield
seccomp setfsgid setfsuid setgid setgroups setpgid setpriority setregid setresgid setresuid setreuid
setrlimit setsid setuid vfork wait4 waitid

futex get_robust_list get_thread_area set_robust_list set_thread_area set_tid_address
alarm kill pause restart_syscall rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo
rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_tgsigqueueinfo setitimer sigaltstack signalfd signalfd4
tgkill tkill

clock_getres clock_gettime clock_nanosleep getrandom gettimeofday nanosleep sysinfo syslog time
timer_create timer_delete timer_getoverrun timer_gettime timer_settime timerfd_create
timerfd_gettime timerfd_settime times uname

mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedsend mq_unlink msgctl msgget msgrcv msgsnd
semctl semget semop semtimedop shmat shmctl shmdt shmget
""".split()

NEW_NAMESPACES = 0x7C020000  # CLONE_NEW*, those of clone(2)
AF_PACKET = 17
ENOSYS = 38


def profile(sockets="all"):
    """As an OCI runtime takes it; with `sockets` "no packet" or "none" for what else may be refused."""
    rules = [{"names": [name for name in ALLOWED if sockets == "all" or name != "socket"],
              "action": "SCMP_ACT_ALLOW"},
             {"names": ["clone"], "action": "SCMP_ACT_ALLOW",
              "args": [{"index": 0, "value": NEW_NAMESPACES, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}]},
             # Not EPERM: libc would start no thread, instead of falling back to clone().
             {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": ENOSYS}]
    for value in (0, 8, 0xFFFFFFFF):
        rules.append({"names": ["personality"], "action": "SCMP_ACT_ALLOW",
                      "args": [{"index": 0, "value": value, "op": "SCMP_CMP_EQ"}]})
    if sockets == "no packet":
        rules.append({"names": ["socket"], "action": "SCMP_ACT_ALLOW",
                      "args": [{"index": 0, "value": AF_PACKET, "op": "SCMP_CMP_NE"}]})
    return {"defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_X86_64"], "syscalls": rules}
