#!/usr/bin/env bash
# Makes the machine ready with the test oracles, builds everything and runs every test.
# tools/test.sh [--quick | --asan]
#   --quick   unit and style tests only
#   --asan    unit tests under AddressSanitizer and UndefinedBehaviorSanitizer, instead of the others
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

mode=all
for argument in "$@"; do
  case $argument in
    --quick) mode=quick ;;
    --asan) mode=asan ;;
    --help | -h) sed -n '2,5s/^# //p' "$0" && exit 0 ;;
    *) fail "unknown argument '$argument'; expected --quick or --asan" ;;
  esac
done

begun=$SECONDS
tools/setup.sh test
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$(nproc)}
status=0
results=build/results-$mode
rm -rf "$results"
mkdir -p "$results"

# Each layer's tests as one process: starting LibTorch under the sanitizers costs more than most tests.
run_sanitized() {
  local program
  export ASAN_OPTIONS=detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1:check_initialization_order=1
  export UBSAN_OPTIONS=print_stacktrace=1 LSAN_OPTIONS=suppressions=$root/cmake/lsan.supp:print_suppressions=0
  for program in build/asan/bin/unit_*; do
    say "$(basename "$program") under ASan and UBSan"
    "$program" --reporter junit --out "$results/asan-$(basename "$program").xml" || status=1
  done
  say "damaged input under ASan and UBSan"
  ASAN_OPTIONS+=:max_allocation_size_mb=1024
  build/asan/bin/fuzz_inputs "${CAPSTAN_TEST_FUZZ:-20000}" || status=1
}

run_ctest() {
  ctest --test-dir build/release --output-on-failure --no-tests=error -j "$(nproc)" \
    --output-junit "$root/$results/ctest.xml" "$@" || status=1
}

if [ "$mode" = asan ]; then
  configure asan
  build asan all_unit_tests fuzz_inputs
  run_sanitized
else
  configure release
  if [ "$mode" = quick ]; then
    build release all_unit_tests
    run_ctest -L 'unit|style'
  else
    build release
    run_ctest
    say "Python tests: parity with the reference implementations, and the whole program"
    "$python" -m pytest tests --junitxml "$results/pytest.xml" || status=1
  fi
fi

"$python" tools/test_summary.py "$results" || status=1
say "tests ($mode) took $(elapsed "$begun")"
exit "$status"
