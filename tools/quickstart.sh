#!/usr/bin/env bash
# From a clone to captions: makes the machine ready, builds, and runs the main job on pictures that the program draws.
# tools/quickstart.sh [--again]
#   --again   trains once more from the start; without it a finished run is only evaluated, exported and shown
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

again=
for argument in "$@"; do
  case $argument in
    --again) again=1 ;;
    --help | -h) sed -n '2,4s/^# //p' "$0" && exit 0 ;;
    *) fail "unknown argument '$argument'; expected --again or nothing" ;;
  esac
done

cache=data/scenes
run=checkpoints/scenes
exported=checkpoints/scenes-export
capstan=build/release/bin/capstan
begun=$SECONDS
tools/setup.sh quickstart
setup_time=$(elapsed "$begun")

begun=$SECONDS
configure release
build release capstan
build_time=$(elapsed "$begun")

# Changes whenever the cache is written anew with other contents.
cache_state() { [ ! -e "$cache/manifest.json" ] || cksum <"$cache/manifest.json"; }

begun=$SECONDS
say "drawing pictures and preparing them into a cache; one that is there and current is left as it is"
state_before=$(cache_state)
if ! $capstan prepare configs/data/scenes.yaml; then
  say "the cache is of another version or configuration: writing it anew"
  $capstan prepare configs/data/scenes.yaml overwrite=true
fi
[ "$state_before" = "$(cache_state)" ] || again=1 # a run on other pictures is no use
if [ -n "$again" ] && [ -e "$run" ]; then
  say "removing the earlier run $run"
  rm -rf "$run"
fi
say "training"
$capstan train configs/train/scenes.yaml
say "evaluating on held-out pictures"
$capstan evaluate configs/eval/scenes.yaml
say "exporting"
$capstan export "$run" "output=$exported" "formats=[huggingface,torchscript,onnx]" overwrite=true

say "three held-out pictures, captioned by our program and by onnxruntime from the exported folder"
report=$run/evaluation/evaluation.json
mapfile -t pictures <<<"$("$python" tools/quickstart_report.py pictures "$report" data/scenes-pictures 3)"
ours=$($capstan caption "$run" "${pictures[@]}")
theirs=$("$python" tools/caption_onnx.py "$exported" "${pictures[@]}")
printf '%s\n' "$ours" | sed 's/^/  capstan      /'
printf '%s\n' "$theirs" | sed 's/^/  onnxruntime  /'
job_time=$(elapsed "$begun")
[ "$ours" = "$theirs" ] || fail "the exported model does not caption as ours does; the captions stand above"

cat <<END

Done. The captions agree.
$("$python" tools/quickstart_report.py scores "$report")
  time            set-up $setup_time, build $build_time, job $job_time
  program         $capstan
  run             $run
  export          $exported
$(find "$exported" -type f -printf '                  %P (%k KB)\n' | sort)
Next:
  $capstan caption $run PHOTO...
      captions pictures of your own, as far as a model of scenes can
  $capstan train configs/train/scenes.yaml output=checkpoints/mine train.num_train_epochs=16
      trains longer, into a run of its own; every command explains itself with --help
  tools/test.sh
      builds and runs all tests
END
