// Links the whole package and uses a part that only training has.
#include <capstan/core/version.h>
#include <capstan/metrics/metric.h>

#include <iostream>

int main() {
  const auto names = capstan::metrics().names();
  std::cout << "capstan " << capstan::version() << " knows " << names.size() << " metrics\n";
  return names.empty() ? 1 : 0;
}
