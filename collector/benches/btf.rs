//! Time to open the running kernel's BTF and to resolve what a typical investigation asks for.
//!
//! `cargo bench -p qed-collector --bench btf [-- FILE]`: FILE is raw BTF, by default this kernel's.

use qed_collector::btf::Btf;
use qed_collector::plan::expr::{ReturnMeaning, Scope, compile};
use std::time::Instant;

const FUNCTIONS: &[&str] = &[
    "__sys_socket",
    "__sock_create",
    "sock_alloc",
    "security_socket_create",
    "inet_create",
    "sk_alloc",
    "sock_init_data",
    "tcp_v4_init_sock",
    "security_socket_post_create",
    "get_unused_fd_flags",
    "sock_alloc_file",
    "alloc_file_pseudo",
    "fd_install",
    "__sock_release",
    "inet_release",
    "tcp_close",
    "sk_free",
    "__sk_destruct",
    "iput",
    "evict",
    "sock_close",
    "__fput",
    "do_exit",
    "filp_close",
    "create_pipe_files",
    "do_pipe2",
    "alloc_inode",
    "sock_alloc_inode",
    "sock_free_inode",
    "put_unused_fd",
];

const PATHS: &[&str] = &[
    "file->private_data",
    "((struct socket *)file->private_data)->sk",
    "file->f_flags",
    "file->f_mode",
    "((struct socket *)file->private_data)->sk->sk_socket",
    "file->f_op",
    "file->f_op->release",
    "((struct socket *)file->private_data)->state",
    "((struct socket *)file->private_data)->type",
    "((struct socket *)file->private_data)->ops->family",
    "((struct socket *)file->private_data)->file",
    "((struct socket *)file->private_data)->sk->__sk_common.skc_family",
    "task->comm",
    "task->pid",
    "((struct socket *)file->private_data)->sk->__sk_common.skc_state",
    "task->tgid",
    "task->mm",
    "((struct socket *)file->private_data)->sk->sk_protocol",
    "task->files->fdt->max_fds",
    "((struct socket *)file->private_data)->sk->sk_type",
    "task->files->next_fd",
    "task->cred->uid.val",
    "((struct socket *)file->private_data)->sk->__sk_common.skc_prot",
    "task->real_parent->pid",
    "((struct socket *)file->private_data)->sk->__sk_common.skc_prot->name",
    "regs->orig_ax",
    "regs->ip",
    "container_of((struct socket *)file->private_data, struct socket_alloc, socket)->vfs_inode.i_ino",
    "file->f_path.dentry",
    "file->f_inode->i_mode",
    "file->f_inode->i_sb->s_magic",
    "fd",
    "regs->sp",
    "file->f_inode->i_sb->s_type->name",
    "file->f_pos",
    "text(fd_install)",
    "return_slot(fd_install)",
    "&file->f_pos",
    "(void *)file",
    "task->sched_task_group",
    "task->thread_pid",
    "file->f_cred->euid.val",
];

fn main() -> anyhow::Result<()> {
    let file = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with('-'));
    let file = file.unwrap_or_else(|| "/sys/kernel/btf/vmlinux".into());
    let start = Instant::now();
    let data = std::fs::read(&file)?;
    println!("{file}: {} bytes read in {:?}", data.len(), start.elapsed());
    for round in 1..=3 {
        let start = Instant::now();
        let btf = Btf::parse(&data)?;
        let opened = start.elapsed();
        let mut parameters = Vec::new();
        let mut absent = Vec::new();
        for name in FUNCTIONS {
            let found = btf.functions(name)?;
            match found.into_iter().next() {
                Some(function) if *name == "fd_install" => {
                    parameters = function.signature.parameters
                }
                Some(_) => {}
                None => absent.push(*name),
            }
        }
        let functions = start.elapsed();
        let scope = Scope {
            btf: &btf,
            parameters: &parameters,
            returned: ReturnMeaning::SystemCall,
            symbols: &|_| Some(0xffff_ffff_8100_0000),
        };
        let results: Vec<_> = PATHS
            .iter()
            .map(|path| (path, compile(path, &scope)))
            .collect();
        let paths = start.elapsed();
        println!(
            "round {round}: {} types opened {opened:?}, + {} functions {functions:?}, + {} paths {paths:?}",
            btf.end_id() - 1,
            FUNCTIONS.len(),
            PATHS.len()
        );
        if round == 3 {
            println!("not in this BTF: {absent:?}");
            for (path, result) in results {
                if let Err(error) = result {
                    println!("  {path}: {error}");
                }
            }
        }
    }
    Ok(())
}
