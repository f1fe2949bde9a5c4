// The {name, config} pair with which a configuration names a plug-in.
#pragma once
#include <string>

#include "capstan/config/node.h"

namespace capstan::config {

// In YAML either `source: scenes` or
//   source:
//     name: scenes
//     config: {count: 1000}
// The config part is read by the plug-in's own struct once the name is known.
struct Component {
  std::string name;
  Node config;
};

}  // namespace capstan::config
