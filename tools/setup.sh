#!/usr/bin/env bash
# Makes the machine ready: system packages, and a virtual environment .venv with LibTorch, CMake and Ninja.
# tools/setup.sh [build|quickstart|test]: what to make ready for; each includes the one before. Run again at any time.
#   CAPSTAN_TORCH=cpu|cuda|skip   flavour of LibTorch; default: cuda where an NVIDIA driver runs, else cpu.
#                                 skip installs none: give yours with CMAKE_PREFIX_PATH.
#   CAPSTAN_TORCH_VERSION=2.13.0  from 2.11.0 to 2.13.0
#   CAPSTAN_TORCH_INDEX=URL       where CPU wheels are looked for when your own package index has none
#   CAPSTAN_PACKAGES=skip         do not look for system packages (systems without dpkg)
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

kind=${1:-build}
case $kind in build | quickstart | test) ;; *) fail "unknown kind '$kind'; expected build, quickstart or test" ;; esac
torch_version=${CAPSTAN_TORCH_VERSION:-2.13.0}
torch_index=${CAPSTAN_TORCH_INDEX:-https://download.pytorch.org/whl/cpu}

packages=(g++ git python3 python3-venv pkg-config ccache libjpeg-dev libopencv-core-dev
  libopencv-imgproc-dev libopencv-imgcodecs-dev libhdf5-dev libyaml-cpp-dev libsentencepiece-dev libprotozero-dev
  nlohmann-json3-dev libfmt-dev libcli11-dev libxxhash-dev libcurl4-openssl-dev libssl-dev
  libarchive-dev libcpp-httplib-dev libgloo-dev catch2)
# A browser for the tests of the pages. Ubuntu's package of that name needs snap, so those tests are skipped there.
[ "$kind" != test ] || [ ! -r /etc/os-release ] || ! grep -qx 'ID=debian' /etc/os-release || packages+=(chromium)

missing_packages() {
  local name
  for name in "${packages[@]}"; do
    dpkg-query -W -f '${db:Status-Status}\n' "$name" 2>/dev/null | grep -qx installed || printf '%s ' "$name"
  done
}

install_packages() {
  [ "${CAPSTAN_PACKAGES:-}" != skip ] || return 0
  command -v dpkg-query >/dev/null || fail "this system has no dpkg, so its packages cannot be checked.
Install the equivalents of: ${packages[*]}
then run again with CAPSTAN_PACKAGES=skip."
  local missing as_root=()
  read -r -a missing <<<"$(missing_packages)"
  [ ${#missing[@]} -gt 0 ] || return 0
  if [ "$(id -u)" != 0 ]; then
    if sudo -n true 2>/dev/null; then
      as_root=(sudo -n)
    else
      fail "these system packages are missing: ${missing[*]}
Installing them needs root. Run this and start again:
  sudo apt-get update && sudo apt-get install -y --no-install-recommends ${missing[*]}"
    fi
  fi
  say "installing ${#missing[@]} system packages: ${missing[*]}"
  logged apt-update "${as_root[@]}" apt-get update
  logged apt-install "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y --no-install-recommends "${missing[@]}"
  read -r -a missing <<<"$(missing_packages)"
  [ ${#missing[@]} = 0 ] || fail "apt-get ended well, but these packages are still missing: ${missing[*]}"
}

make_venv() {
  if [ -d "$venv" ] && ! { "$python" -c '' && "$venv/bin/pip" --version; } >/dev/null 2>&1; then
    say "the virtual environment $venv does not run any more (moved, or another Python); making it anew"
    rm -rf "$venv"
  fi
  [ -d "$venv" ] || logged venv python3 -m venv "$venv"
}

torch_flavour() {
  case ${CAPSTAN_TORCH:-auto} in
    cpu | cuda | skip) printf '%s\n' "$CAPSTAN_TORCH" ;;
    auto) if [ -e /proc/driver/nvidia/version ] || nvidia-smi >/dev/null 2>&1; then echo cuda; else echo cpu; fi ;;
    *) fail "CAPSTAN_TORCH is '$CAPSTAN_TORCH'; expected cpu, cuda or skip" ;;
  esac
}

# What is installed, as "2.13.0 cpu" or "2.13.0 cuda-13.0"; nothing when there is no torch.
installed_torch() {
  "$python" - <<'PY'
import importlib.util, pathlib
spec = importlib.util.find_spec("torch")
if spec and spec.submodule_search_locations:
    facts = {}
    exec(pathlib.Path(spec.submodule_search_locations[0], "version.py").read_text(), facts)
    print(facts["__version__"].split("+")[0], "cuda-" + facts["cuda"] if facts["cuda"] else "cpu")
PY
}

check_toolkit() {
  local cuda=$1 nvcc
  nvcc=$(command -v nvcc || ls "${CUDA_HOME:-/usr/local/cuda}/bin/nvcc" 2>/dev/null || true)
  [ -n "$nvcc" ] && return
  fail "LibTorch for CUDA $cuda is installed, but building against it needs NVIDIA's toolkit, and no nvcc is in PATH
or in /usr/local/cuda/bin. Install the CUDA toolkit ${cuda%%.*}.x (with NVIDIA's repository on Debian and Ubuntu:
apt-get install cuda-toolkit-${cuda/./-}), set CUDA_HOME where it lies elsewhere, or build for the CPU:
  CAPSTAN_TORCH=cpu $0 $kind"
}

install_torch() {
  local flavour=$1 found want="$torch_version"
  [ "$flavour" != skip ] || return 0
  found=$(installed_torch)
  if [ "${found/-*/}" != "$want $flavour" ]; then
    say "installing LibTorch $want for $flavour"
    if [ "$flavour" = cuda ]; then
      logged torch "$python" -m pip install "torch==$want"
    else
      "$python" -m pip install "torch==$want+cpu" >build/log/torch.log 2>&1 ||
        logged torch "$python" -m pip install "torch==$want+cpu" --extra-index-url "$torch_index"
    fi
    found=$(installed_torch)
    [ "${found/-*/}" = "$want $flavour" ] || fail "pip installed torch '$found' where '$want $flavour' was wanted.
A local folder of wheels or another index probably comes first (see PIP_FIND_LINKS, pip config list)."
  fi
  if [ "$flavour" = cuda ]; then check_toolkit "${found##*cuda-}"; fi
}

# A kind is ready when it or a larger one was made ready with the same pins.
already_done() {
  local larger
  for larger in build quickstart test; do
    [ "$larger" = "$kind" ] && local reached=1
    [ -n "${reached:-}" ] && [ "$(cat "$venv/.capstan-done-$larger" 2>/dev/null)" = "$key" ] && return 0
  done
  return 1
}

started=$SECONDS
mkdir -p build/log
flavour=$(torch_flavour)
install_packages
make_venv
key="$(cat tools/requirements-*.txt | sha256sum | cut -c 1-16) torch $torch_version $flavour $("$python" --version)"
if ! already_done; then
  rm -f "$venv"/.capstan-*
  install_torch "$flavour"
  say "installing what $kind needs from PyPI"
  logged "pip-$kind" "$python" -m pip install -r "tools/requirements-$kind.txt"
  installed_torch >"$venv/.capstan-torch"
  printf '%s\n' "$key" >"$venv/.capstan-done-$kind"
fi
say "ready for $kind in $(elapsed "$started"): LibTorch $(cat "$venv/.capstan-torch")"
