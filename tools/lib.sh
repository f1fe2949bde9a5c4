# Shared by setup.sh, quickstart.sh and test.sh; sourced, never run. Sets `root` and moves there.
set -euo pipefail
export LC_ALL=C.UTF-8
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
venv=$root/.venv
python=$venv/bin/python
export PATH="$venv/bin:$PATH"
# pip and ccache keep their caches under HOME; a build user may have none.
if [ ! -w "${HOME:-}" ]; then export HOME=$root/build/home && mkdir -p "$HOME"; fi
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PYTHONDONTWRITEBYTECODE=1

say() { printf '==> %s\n' "$*"; }
fail() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# logged NAME COMMAND...: runs quietly, keeps the output in build/log/NAME.log, shows its end when it fails.
logged() {
  local log=$root/build/log/$1.log
  shift
  mkdir -p "$root/build/log"
  if ! "$@" >"$log" 2>&1; then
    tail -n 40 "$log" >&2
    fail "this command failed: $* (all of its output: $log)"
  fi
}

# Seconds since the moment kept in $1, as "3 min 05 s".
elapsed() {
  local seconds=$((SECONDS - $1))
  printf '%d min %02d s' $((seconds / 60)) $((seconds % 60))
}

# The CMake folder of the LibTorch to build with, without the seconds that `import torch` takes.
torch_cmake() {
  "$python" - <<'PY'
import importlib.util
spec = importlib.util.find_spec("torch")
print(spec.submodule_search_locations[0] + "/share/cmake" if spec else "")
PY
}

# configure PRESET [-DNAME=VALUE...]: only where it has not been done with the same arguments and LibTorch.
configure() {
  local preset=$1 torch stamp key
  shift
  torch=$(torch_cmake)
  [ "${CAPSTAN_WERROR:-}" = 1 ] && set -- -DCAPSTAN_WERROR=ON "$@"
  stamp=build/$preset/.configured
  key="$torch $(cat "$venv/.capstan-torch" 2>/dev/null) $(cmake --version | head -n 1) $*"
  if [ -e "build/$preset/build.ninja" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$key" ]; then return; fi
  say "configuring preset $preset"
  logged "configure-$preset" cmake --preset "$preset" ${torch:+-DCMAKE_PREFIX_PATH="$torch"} "$@"
  sed -n '/capstan .* is configured/,/^$/p' "build/log/configure-$preset.log"
  printf '%s\n' "$key" >"$stamp"
}

# build PRESET [TARGET...]: as many jobs as cores, fewer where memory is short (a torch file takes 1.5 GB).
build() {
  local preset=$1 jobs memory
  shift
  jobs=$(nproc)
  memory=$(awk '/MemAvailable/ { print int($2 / 1572864) }' /proc/meminfo)
  [ "$memory" -ge "$jobs" ] || jobs=$((memory > 0 ? memory : 1))
  say "building preset $preset ($jobs jobs)${1:+: $*}"
  if [ -t 1 ]; then # someone watches: Ninja's own status line
    ninja -C "build/$preset" -j "$jobs" "$@" || fail "the build failed; what the compiler said stands above"
    return
  fi
  ninja -C "build/$preset" -j "$jobs" "$@" >"build/log/build-$preset.log" 2>&1 || {
    grep -E -A 12 'error:|FAILED:|undefined reference' "build/log/build-$preset.log" | head -n 80 >&2 || true
    fail "the build failed (all of its output: $root/build/log/build-$preset.log)"
  }
}
