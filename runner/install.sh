#!/usr/bin/env bash
# Makes this machine a runner that captures: run as root, from a checkout that `make build` was run in. To be run again when
# the collector was changed; nothing else needs root afterwards.
#
#   sudo runner/install.sh FOLDER-OF-THE-ACTIONS-RUNNER
set -euo pipefail
cd "$(dirname "$0")/.."

fail() { printf 'install: %s\n' "$*" >&2; exit 1; }

runner=${1:-}
[ "$(id -u)" -eq 0 ] || fail "this needs root: sudo $0 FOLDER"
[ -x "$runner/run.sh" ] ||
    fail "name the folder of the unpacked GitHub Actions runner (https://github.com/actions/runner/releases): it holds run.sh"
collector=target/x86_64-unknown-linux-gnu/release/qed-collector
[ -x "$collector" ] || fail "there is no $collector: run \`make build\` first, as an ordinary user"
command -v setcap > /dev/null || fail "setcap is missing: apt-get install libcap2-bin"

# A user that owns nothing but its work, and may log in nowhere.
getent passwd qed-runner > /dev/null ||
    useradd --system --home-dir /var/lib/qed-runner --no-create-home --shell /usr/sbin/nologin qed-runner

# The one program with capabilities. It belongs to root, so a job cannot replace it; only the runner's group may run it.
install -D -o root -g qed-runner -m 0750 "$collector" /usr/local/lib/qed/qed-collector
setcap cap_bpf,cap_perfmon,cap_syslog=ep /usr/local/lib/qed/qed-collector

# Debian's 3 keeps kprobes from all but root. At 2 they still take CAP_PERFMON.
install -d /etc/sysctl.d
echo 'kernel.perf_event_paranoid = 2' > /etc/sysctl.d/60-qed.conf
sysctl --quiet --load /etc/sysctl.d/60-qed.conf

# The runner's own program belongs to root as well: it is copied into a fresh folder for each job.
rm -rf /usr/local/lib/qed/runner
cp -a "$runner" /usr/local/lib/qed/runner
chown -R root:root /usr/local/lib/qed/runner
install -m 0644 runner/qed-runner.service /etc/systemd/system/qed-runner.service
systemctl daemon-reload

echo "installed. What the collector can do as the runner's user:"
setpriv --reuid=qed-runner --regid=qed-runner --clear-groups /usr/local/lib/qed/qed-collector doctor || true
