// What the formats that write a model's computation out can express.
#pragma once
#include <string>

#include "capstan/models/vision_encoder_decoder.h"

namespace capstan {

// UnsupportedError names the key of the configuration for which `format` ("ONNX") has no emitter.
void require_emitter(const VisionEncoderDecoderConfig& config, const std::string& format);

}  // namespace capstan
