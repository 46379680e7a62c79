//! Throwaway guests: stock distribution kernels in QEMU.
//!
//! A guest is one boot of an unmodified kernel with an initramfs that holds this static collector, the job, and the programs and files that
//! the job needs; it powers off by itself. It needs neither root nor any feature of the host's kernel.
//!
//! | module | what | I/O |
//! | --- | --- | --- |
//! | [`source`] | `debian-6.1` or a path: what to boot | none |
//! | [`archive`], [`version`] | Debian's kernels: packages, layouts, mirrors, order of versions | none |
//! | [`cache`] | kernels kept in the user's cache folder, locked, written atomically | files |
//! | [`apt`], [`fetch`], [`download`], [`debuginfo`] | finding, downloading and unpacking packages | processes |
//! | [`pinned`] | the kernel that a lock file names | files, processes |
//! | [`kernel_layout`] | where the parts of a kernel stand around its image | none |
//! | `module_files` | names of modules, and folders that hold some | files |
//! | [`companion_files`] | those of them that are there and of the same build | files |
//! | [`elf`] | static? build id? the part that is loaded | none |
//! | [`initramfs`] | a newc archive in memory | none |
//! | [`host_binaries`] | the programs that an investigation runs, and their libraries | files, ldd |
//! | [`protocol`], [`wire`], [`console`] | jobs and answers, and the form in which they travel | none |
//! | [`accel`] | KVM or emulation | looks at /dev/kvm |
//! | [`qemu_args`] | QEMU's command line | none |
//! | [`spec`] | the description of a guest | none |
//! | [`qemu`], `machine`, `process`, `pipes`, `qmp` | running it | a process |
//! | [`states`] | saved guests in the cache | files |
//! | `warm` | saving a guest that waits for its job, and resuming it | QEMU's monitor |
//! | [`delivery`] | what a waiting guest is handed: files, the time, random numbers | the guest's clock, files |
//! | [`init`], [`agent`], [`channel`] | the half that runs inside the guest | mounts, devices |

pub mod accel;
pub mod agent;
pub mod apt;
pub mod archive;
pub mod cache;
pub mod channel;
pub mod companion_files;
pub mod console;
pub mod debuginfo;
pub mod delivery;
pub mod download;
pub mod elf;
mod error;
pub mod fetch;
pub mod find_program;
pub mod init;
pub mod initramfs;
pub mod kernel_layout;
pub mod load;
mod machine;
mod module_files;
pub mod modules;
pub mod pinned;
pub mod qemu_args;
pub mod wire;

pub mod host_binaries;
mod pipes;
mod process;
pub mod protocol;
pub mod qemu;
mod qmp;
mod setup;
pub mod source;
pub mod spec;
pub mod states;
mod system;
pub mod version;
mod warm;

pub use accel::{Accelerator, AcceleratorChoice};
pub use download::ProgressFn;
pub use error::GuestError;
pub use fetch::KernelImage;
pub use qemu::{GuestRun, run};
pub use source::KernelSource;
pub use spec::{GuestSpec, Start};
