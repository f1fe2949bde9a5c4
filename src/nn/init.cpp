// Each parameter has its own random stream, seeded by its name.
#include "capstan/nn/init.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include "capstan/core/random.h"

namespace capstan {

void init_normal(at::Tensor parameter, double std, std::uint64_t seed, std::string_view name) {
  const at::NoGradGuard no_grad;
  auto generator = at::make_generator<at::CPUGeneratorImpl>(stream_seed(seed, name));
  // Drawn on the CPU in float, then copied, so that device and type of the model do not matter.
  parameter.copy_(at::empty(parameter.sizes()).normal_(0, std, generator));
}

}  // namespace capstan
