//! Time to open a kernel's BTF, to resolve what a typical investigation asks for, and to describe 50 structures.
//!
//! `cargo bench -p qed-collector --bench btf [-- FILE]`: FILE is raw BTF, by default this kernel's, or a bootable image of a kernel.

use qed_collector::assemble::facts::type_facts;
use qed_collector::btf::Btf;
use qed_collector::kaslr::vmlinuz;
use qed_collector::plan::expr::{Code, ReturnMeaning, Scope, compile};
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

const TYPES: &str = "task_struct mm_struct vm_area_struct files_struct fdtable file inode dentry super_block vfsmount mount nsproxy \
    cred path qstr address_space page folio kmem_cache socket sock sock_common inet_sock tcp_sock sk_buff net net_device proto proto_ops \
    pipe_inode_info pipe_buffer iov_iter kiocb bio request_queue block_device module kobject device device_driver bus_type work_struct \
    timer_list hrtimer rq cfs_rq sched_entity signal_struct sighand_struct pid";

fn main() -> anyhow::Result<()> {
    let file = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with('-'));
    let file = file.unwrap_or_else(|| "/sys/kernel/btf/vmlinux".into());
    let start = Instant::now();
    let data = std::fs::read(&file)?;
    println!("{file}: {} bytes read in {:?}", data.len(), start.elapsed());
    let start = Instant::now();
    let data = match vmlinuz::types(&data) {
        Ok(types) => {
            println!("{} bytes unpacked in {:?}", types.len(), start.elapsed());
            types
        }
        // It is BTF itself.
        Err(_) => data,
    };
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
            code: Code {
                symbols: &|_| Some(0xffff_ffff_8100_0000),
                ..Code::UNKNOWN
            },
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
        let start = Instant::now();
        let found = TYPES
            .split_whitespace()
            .filter_map(|name| type_facts(&btf, name));
        let members: Vec<u64> = found.map(|facts| facts.count).collect();
        let types = start.elapsed();
        println!(
            "round {round}: {} of {} types with {} members described in {types:?}, {:.2} times the opening",
            members.len(),
            TYPES.split_whitespace().count(),
            members.iter().sum::<u64>(),
            types.as_secs_f64() / opened.as_secs_f64(),
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
