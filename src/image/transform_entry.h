// A transform as a plug-in: its options read strictly, and documented, from one struct.
#pragma once
#include <memory>
#include <string>
#include <utility>

#include "capstan/config/read.h"
#include "capstan/config/write.h"
#include "capstan/image/transform.h"

namespace capstan {

// `Product` is made from its Config.
template <class Product, class Config>
TransformEntry make_transform_entry(std::string name, std::string summary) {
  return {.name = std::move(name),
          .summary = std::move(summary),
          .make = [](const config::Node& node, config::Problems& problems) -> std::unique_ptr<Transform> {
            Config config;
            config::read(node, config, problems);
            return std::make_unique<Product>(std::move(config));
          },
          .document = [] { return config::document_fields<Config>(); }};
}

}  // namespace capstan
