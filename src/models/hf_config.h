// config.json of transformers to and from our structs.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "capstan/models/vision_encoder_decoder.h"

namespace capstan {

// `where` names the file and part in messages: "DIR/config.json: encoder". Keys that are absent or null take
// transformers' defaults. CheckpointError names a key of a wrong type or range, UnsupportedError one that asks for
// something this version does not compute. A whole SigLIP model counts as its vision tower.
VisionConfig read_vision_config(const nlohmann::json& object, const std::string& where);
Gpt2Config read_gpt2_config(const nlohmann::json& object, const std::string& where);

// The decoder's part of config.json.
nlohmann::ordered_json gpt2_json(const Gpt2Config& config);

// The whole config.json of a VisionEncoderDecoderModel; `dtype` is the weights' type ("float32").
nlohmann::ordered_json config_json(const VisionEncoderDecoderConfig& config, const std::string& dtype);
nlohmann::ordered_json generation_config_json(const VisionEncoderDecoderConfig& config);

}  // namespace capstan
